//! The front page of the documentation.

/// A package holds its own files alone, so the front page has a copy of the table.
#[test]
fn the_table_of_the_front_page_is_what_plan_decides() {
    let page = include_str!("../src/plan_table.md");
    assert_eq!(page, endwell::core::table());
}
