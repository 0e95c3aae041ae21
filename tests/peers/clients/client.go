// Downloads with net/http what each line of the input asks for (base.Talker).
package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

type asked struct {
	URL      string `json:"url"`
	Protocol string `json:"protocol"`
	Save     string `json:"save"`
}

type seen struct {
	Status  *int    `json:"status"`
	Error   *string `json:"error"`
	Message string  `json:"message"`
	Saved   bool    `json:"saved"`
}

func client(protocol string) *http.Client {
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2: protocol == "h2",
		// What is sent is what the user gets: no gzip asked for behind his back.
		DisableCompression: true,
	}
	return &http.Client{Transport: transport, Timeout: 25 * time.Second}
}

func fetch(ask asked) (body []byte, status *int, err error) {
	client := client(ask.Protocol)
	defer client.CloseIdleConnections()
	response, err := client.Get(ask.URL)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return body, &response.StatusCode, err
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var ask asked
		if err := json.Unmarshal(lines.Bytes(), &ask); err != nil {
			panic(err)
		}
		body, status, err := fetch(ask)
		answer := seen{Status: status, Saved: true}
		if err != nil {
			text := err.Error()
			answer.Error, answer.Message = &text, fmt.Sprintf("%T", err)
		}
		if err := os.WriteFile(ask.Save, body, 0o600); err != nil {
			panic(err)
		}
		line, err := json.Marshal(answer)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(line))
	}
}
