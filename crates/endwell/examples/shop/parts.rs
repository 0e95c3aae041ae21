//! The parts of the page, each of which stands for a database or a service.

use std::io;
use std::time::Duration;

use endwell::page::{Decided, Fragment, Part, Work, each, part, spawn_blocking};
use http::StatusCode;

use super::asked::{Asked, Does};
use super::html;

/// Longer than that no part may take.
const TIME_OUT: Duration = Duration::from_secs(2);

/// Waits as a query would, and ends as it was asked to.
async fn query<T>(asked: super::asked::Part, found: T) -> io::Result<T> {
    tokio::time::sleep(asked.time()).await;
    match asked.does {
        Does::Well | Does::Missing => Ok(found),
        Does::Error => Err(io::Error::other("the database does not answer")),
        Does::Panic => panic!("index out of bounds: the len is 0 but the index is 0"),
        Does::TimeOut => std::future::pending().await,
    }
}

/// The name of the product. Without it there is no page: 404 if there is no such product, 5xx if nobody knows.
pub(crate) fn product(
    asked: &Asked,
) -> Part<impl Future<Output = io::Result<Decided>> + Send + use<>> {
    let asked = asked.part("product");
    let work = async move {
        query(asked, ()).await?;
        Ok(match asked.does {
            Does::Missing => Decided::instead(StatusCode::NOT_FOUND, html::NO_PRODUCT),
            _ => Decided::content("<h1>Hex bolts M8, box of 100</h1>"),
        })
    };
    usual(part("product", work), asked, "")
}

/// The price. A shop that cannot tell it shows nothing for sale: its error is fatal, unless you say otherwise.
pub(crate) fn price(asked: &Asked) -> Part<impl Work + use<>> {
    let asked = asked.part("price");
    let price = part("price", query(asked, 1290_u32));
    let price = price.then(|cents| format!("<p class=price>{}.{:02} €", cents / 100, cents % 100));
    usual(price, asked, "The price is not known now.").placeholder(html::waits("The price"))
}

pub(crate) fn stock(asked: &Asked) -> Part<impl Work + use<>> {
    let asked = asked.part("stock");
    let stock = part("stock", query(asked, 17_u32)).then(|left| format!("<p>{left} boxes left"));
    usual(stock, asked, "We cannot look into our stock now.").placeholder(html::waits("The stock"))
}

/// Work that computes keeps no other part waiting.
pub(crate) fn fit(asked: &Asked) -> Part<impl Work + use<>> {
    let asked = asked.part("fit");
    let work = async move {
        query(asked, ()).await?;
        spawn_blocking(|| {
            Ok::<_, io::Error>((1..=1_000_000_u64).fold(8, |sum, n| sum ^ (n * n)) % 90)
        })
        .await
        .map_err(io::Error::other)
    };
    let fit =
        part("fit", work).then(|percent| format!("<p>Fits {percent} % of what you bought before"));
    usual(fit, asked, "No word on what it fits.").placeholder(html::waits("What it fits"))
}

const REVIEWS: [(u32, &str); 3] = [
    (101, "They hold. What else is there to say?"),
    (102, "One of them was <b>M6</b>. & so what."),
    (103, "Bought a box, built a bridge."),
];

/// A list whose items come one by one, each with its author. Its failure leaves those that came.
pub(crate) fn reviews(asked: &Asked) -> Part<impl Work + use<>> {
    let asked = asked.part("reviews");
    let rows = futures_util::stream::unfold(0, move |at| async move {
        let last = at == REVIEWS.len();
        if last && asked.does == Does::Well {
            return None;
        }
        let row = match last {
            true => query(asked, REVIEWS[0]).await,
            false => {
                query(
                    super::asked::Part {
                        does: Does::Well,
                        ..asked
                    },
                    REVIEWS[at],
                )
                .await
            }
        };
        Some((row, at + 1))
    });
    let list = each("reviews", Box::pin(rows), |(id, text)| {
        let author = part("author", async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok::<_, io::Error>(format!("<cite>customer {id}</cite>"))
        });
        let author = author.note().placeholder("<cite>…</cite>");
        let item = Fragment::new().chunk(format!("<li><q>{}</q> — ", html::escaped(text)));
        (id, item.part(author).chunk("</li>"))
    });
    let fallback = "<li class=none>Some reviews cannot be shown now.</li>";
    list.severity(asked.severity)
        .timeout(TIME_OUT + 4 * asked.time())
        .placeholder("<li class=wait>Reviews are on their way …</li>")
        .catch(move |_| fallback)
}

pub(crate) fn others(asked: &Asked) -> Part<impl Work + use<>> {
    let asked = asked.part("others");
    let others = part("others", query(asked, ["Nuts M8", "Washers", "A bridge"]));
    let others = others.then(|names| format!("<h2>Others bought</h2><p>{}", names.join(", ")));
    usual(others, asked, "").placeholder(html::waits("What others bought"))
}

/// What most parts have in common.
fn usual<W>(part: Part<W>, asked: super::asked::Part, fallback: &'static str) -> Part<W> {
    part.severity(asked.severity)
        .timeout(TIME_OUT + asked.time())
        .catch(move |error| html::fallback(fallback, error))
}
