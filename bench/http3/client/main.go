// The client of bench/http3, and a file server to compare with; both with quic-go.
//
//	client get -protocol h3|h2 -connections N -streams M -requests R URL   one line of JSON
//	client stall -connections N -streams M -window W URL                  asks, reads no body, waits for its input's end
//	client serve -listen ADDRESS -cert FILE -key FILE FOLDER               HTTP/3 alone
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// As wide as the best: what is measured is the server, not how fast a window opens.
const wide = 16 << 20

type roundTripper = http.RoundTripper

func tlsConfig(protocol string) *tls.Config {
	// Go cannot choose the cipher of TLS 1.3; all servers here take its first, AES-128-GCM.
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}, ServerName: "localhost"}
}

// One connection, which is there when this returns.
func dialQuic(host string, window uint64) (roundTripper, error) {
	config := &quic.Config{
		InitialStreamReceiveWindow: window, MaxStreamReceiveWindow: window,
		InitialConnectionReceiveWindow: window * 2, MaxConnectionReceiveWindow: window * 2,
		MaxIdleTimeout: 5 * time.Minute, KeepAlivePeriod: 10 * time.Second,
	}
	if window != wide {
		// Streams that are not read do not stop each other.
		config.InitialConnectionReceiveWindow, config.MaxConnectionReceiveWindow = wide*4, wide*4
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	connection, err := quic.DialAddr(ctx, host, tlsConfig(http3.NextProtoH3), config)
	if err != nil {
		return nil, err
	}
	return (&http3.Transport{DisableCompression: true}).NewClientConn(connection), nil
}

func dialTCP(_ string, _ uint64) (roundTripper, error) {
	transport := &http.Transport{
		TLSClientConfig: tlsConfig("h2"), ForceAttemptHTTP2: true, DisableCompression: true, MaxConnsPerHost: 1,
		HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: wide, MaxReceiveBufferPerConnection: 2 * wide},
	}
	return transport, nil
}

func dial(protocol, target string, window uint64) (roundTripper, error) {
	parsed, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	if protocol == "h2" {
		return dialTCP(parsed.Host, window)
	}
	return dialQuic(parsed.Host, window)
}

// The octets of one answer, which must be whole.
func get(connection roundTripper, target string, buffer []byte) (int64, error) {
	request, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		return 0, err
	}
	response, err := connection.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %d", response.StatusCode)
	}
	var octets int64
	for {
		n, err := response.Body.Read(buffer)
		octets += int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return octets, err
		}
	}
	if response.ContentLength >= 0 && octets != response.ContentLength {
		return octets, fmt.Errorf("%d octets of %d", octets, response.ContentLength)
	}
	return octets, nil
}

type figures struct {
	Octets   int64   `json:"octets"`
	Seconds  float64 `json:"seconds"`
	Requests int     `json:"requests"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
	CPU      float64 `json:"cpu_seconds"`
}

func cpuSeconds() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		log.Fatal(err)
	}
	return float64(used.Utime.Sec+used.Stime.Sec) + float64(used.Utime.Usec+used.Stime.Usec)/1e6
}

func load(protocol, target string, connections, streams, requests int) figures {
	var round []roundTripper
	for range connections {
		connection, err := dial(protocol, target, wide)
		if err != nil {
			log.Fatal(err)
		}
		round = append(round, connection)
	}
	var left, octets atomic.Int64
	left.Store(int64(requests))
	times := make([][]float64, connections*streams)
	var all sync.WaitGroup
	before, begun := cpuSeconds(), time.Now()
	for worker := range times {
		all.Add(1)
		go func() {
			defer all.Done()
			buffer := make([]byte, 256<<10)
			for left.Add(-1) >= 0 {
				asked := time.Now()
				n, err := get(round[worker%connections], target, buffer)
				if err != nil {
					log.Fatalf("%s %s: %v", protocol, target, err)
				}
				octets.Add(n)
				times[worker] = append(times[worker], float64(time.Since(asked).Microseconds()))
			}
		}()
	}
	all.Wait()
	found := figures{
		Octets: octets.Load(), Seconds: time.Since(begun).Seconds(), Requests: requests, CPU: cpuSeconds() - before}
	var sorted []float64
	for _, of := range times {
		sorted = append(sorted, of...)
	}
	sort.Float64s(sorted)
	found.P50, found.P99 = sorted[len(sorted)/2], sorted[len(sorted)*99/100]
	return found
}

// Asks on every stream, takes the head, and reads nothing until the input ends.
func stall(target string, connections, streams int, window uint64) {
	for range connections {
		connection, err := dial("h3", target, window)
		if err != nil {
			log.Fatal(err)
		}
		for range streams {
			request, err := http.NewRequest(http.MethodGet, target, nil)
			if err != nil {
				log.Fatal(err)
			}
			response, err := connection.RoundTrip(request)
			if err != nil {
				log.Fatal(err)
			}
			if response.StatusCode != http.StatusOK {
				log.Fatalf("status %d", response.StatusCode)
			}
		}
	}
	fmt.Println("stalled")
	bufio.NewReader(os.Stdin).ReadByte()
}

func serve(listen, certificate, key, folder string) {
	server := &http3.Server{Addr: listen, Handler: http.FileServer(http.Dir(folder))}
	log.Fatal(server.ListenAndServeTLS(certificate, key))
}

func main() {
	if len(os.Args) < 2 {
		log.Fatal("get, stall or serve")
	}
	words := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	protocol := words.String("protocol", "h3", "h3 or h2")
	connections := words.Int("connections", 1, "connections")
	streams := words.Int("streams", 1, "requests at once on each")
	requests := words.Int("requests", 1, "requests in all")
	window := words.Uint64("window", wide, "octets of a stream that may be on their way")
	listen := words.String("listen", "127.0.0.1:0", "address")
	certificate := words.String("cert", "", "file")
	key := words.String("key", "", "file")
	words.Parse(os.Args[2:])
	switch os.Args[1] {
	case "get":
		found := load(*protocol, words.Arg(0), *connections, *streams, *requests)
		json.NewEncoder(os.Stdout).Encode(found)
	case "stall":
		stall(words.Arg(0), *connections, *streams, *window)
	case "serve":
		serve(*listen, *certificate, *key, words.Arg(0))
	default:
		log.Fatalf("no %q: get, stall or serve", os.Args[1])
	}
}
