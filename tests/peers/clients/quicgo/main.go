// Asks over HTTP/3 with quic-go, as each line of the input says; the lines are those of h3.py (quic.Http3).
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

const deadline = 100 * time.Second

type request struct {
	URL     string            `json:"url"`
	Save    string            `json:"save"`
	After   *int              `json:"after"`
	Leaves  *int              `json:"leaves"`
	Closes  *int              `json:"closes"`
	Headers map[string]string `json:"headers"`
}

type asked struct {
	Streams []request `json:"streams"`
	Window  uint64    `json:"window"`
	Hold    bool      `json:"hold"`
	Stay    bool      `json:"stay"`
}

type seen struct {
	Status   *int              `json:"status"`
	Error    *string           `json:"error"`
	Message  string            `json:"message"`
	Trailers map[string]string `json:"trailers"`
	Saved    bool              `json:"saved"`
}

type answer struct {
	Streams []seen  `json:"streams"`
	Closed  *string `json:"closed"`
	Stays   bool    `json:"stays"`
}

// One connection and what it is asked for.
type session struct {
	client *http3.ClientConn
	close  func()
	ended  []chan struct{}
	hold   func()
	once   sync.Once
}

func configuration(window uint64) *quic.Config {
	config := &quic.Config{MaxIdleTimeout: deadline}
	if window != 0 {
		config.InitialStreamReceiveWindow, config.MaxStreamReceiveWindow = window, window
		config.InitialConnectionReceiveWindow, config.MaxConnectionReceiveWindow = window, window
	}
	return config
}

// What is wrong in the words of the library; of a reset also the code, which no words hide.
func words(err error) (text, message string) {
	var stream *quic.StreamError
	if errors.As(err, &stream) && stream.Remote {
		return fmt.Sprintf("reset 0x%x", uint64(stream.ErrorCode)), err.Error()
	}
	var closed *quic.ApplicationError
	if errors.As(err, &closed) {
		return fmt.Sprintf("closed 0x%x", uint64(closed.ErrorCode)), err.Error()
	}
	return err.Error(), fmt.Sprintf("%T", err)
}

// The body, up to where the client leaves. It is `hold` that stands still, and nobody else.
func (s *session) read(response *http.Response, leaves *int, hold func()) (body []byte, left bool, err error) {
	part := make([]byte, 16384)
	for {
		n, err := response.Body.Read(part)
		body = append(body, part[:n]...)
		if n > 0 && hold != nil {
			s.once.Do(hold)
		}
		if leaves != nil && len(body) >= *leaves {
			return body, true, nil
		}
		if err == io.EOF {
			return body, false, nil
		}
		if err != nil {
			return body, false, err
		}
	}
}

func (s *session) fetch(ctx context.Context, ask request, hold func()) (body []byte, answer seen) {
	answer = seen{Trailers: map[string]string{}, Saved: true}
	fail := func(err error) {
		text, message := words(err)
		answer.Error, answer.Message = &text, message
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, ask.URL, nil)
	if err != nil {
		fail(err)
		return nil, answer
	}
	for name, value := range ask.Headers {
		request.Header.Set(name, value)
	}
	response, err := s.client.RoundTrip(request)
	if err != nil {
		fail(err)
		return nil, answer
	}
	// Before the end of the body, this is what quic-go has for "stop sending".
	defer response.Body.Close()
	answer.Status = &response.StatusCode
	upto := ask.Leaves
	if ask.Closes != nil {
		upto = ask.Closes
	}
	body, left, err := s.read(response, upto, hold)
	if left && ask.Closes != nil {
		s.close()
	}
	if left {
		text := "left"
		answer.Error = &text
	} else if err != nil {
		fail(err)
	}
	for name, values := range response.Trailer {
		if len(values) > 0 {
			answer.Trailers[http.CanonicalHeaderKey(name)] = values[0]
		}
	}
	return body, answer
}

func (s *session) one(ctx context.Context, number int, ask request) seen {
	defer close(s.ended[number])
	if ask.After != nil {
		<-s.ended[*ask.After]
	}
	hold := s.hold
	if number > 0 {
		hold = nil
	}
	body, answer := s.fetch(ctx, ask, hold)
	if err := os.WriteFile(ask.Save, body, 0o600); err != nil {
		panic(err)
	}
	return answer
}

func failed(ask asked, err error) answer {
	text, message := words(err)
	found := answer{Closed: &text}
	for range ask.Streams {
		found.Streams = append(found.Streams, seen{Error: &text, Message: message, Trailers: map[string]string{}})
	}
	return found
}

// `hold` is called where nothing more is read, `stay` with the answer before the connection is closed.
func run(ask asked, hold func(), stay func(answer)) answer {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	target, err := url.Parse(ask.Streams[0].URL)
	if err != nil {
		return failed(ask, err)
	}
	// As the library, and not as the user, names the host.
	tls := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{http3.NextProtoH3}, ServerName: target.Hostname()}
	connection, err := quic.DialAddr(ctx, target.Host, tls, configuration(ask.Window))
	if err != nil {
		return failed(ask, err)
	}
	transport := &http3.Transport{DisableCompression: true}
	goodbye := func() { connection.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "") }
	session := &session{
		client: transport.NewClientConn(connection), close: goodbye, ended: make([]chan struct{}, len(ask.Streams))}
	if ask.Hold {
		session.hold = hold
	}
	for number := range session.ended {
		session.ended[number] = make(chan struct{})
	}
	found := answer{Streams: make([]seen, len(ask.Streams))}
	var all sync.WaitGroup
	for number, one := range ask.Streams {
		all.Add(1)
		go func() {
			defer all.Done()
			found.Streams[number] = session.one(ctx, number, one)
		}()
	}
	all.Wait()
	if err := context.Cause(connection.Context()); err != nil {
		text, _ := words(err)
		found.Closed = &text
	}
	if ask.Stay {
		found.Stays = true
		stay(found)
		found.Stays = false
	}
	// At once, as who has what he wanted does: before the last octets are acknowledged.
	goodbye()
	return found
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	// Hundreds of streams are more than a scanner takes by itself.
	lines.Buffer(nil, 16<<20)
	say := func(what any) {
		line, err := json.Marshal(what)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(line))
	}
	hold := func() {
		say(map[string]bool{"held": true})
		lines.Scan()
	}
	stay := func(found answer) {
		say(found)
		lines.Scan()
	}
	for lines.Scan() {
		var ask asked
		if err := json.Unmarshal(lines.Bytes(), &ask); err != nil {
			panic(err)
		}
		say(run(ask, hold, stay))
	}
}
