// Reads archives with archive/tar and archive/zip as each line of the input asks (base.Library).
package main

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
)

type asked struct {
	Path   string `json:"path"`
	Format string `json:"format"`
}

type answer struct {
	Error   *string `json:"error"`
	Entries [][]any `json:"entries"`
}

func row(name, kind string, mode fs.FileMode, nanoseconds, size int64, content string) []any {
	bits := int64(mode.Perm())
	for bit, of := range map[fs.FileMode]int64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if mode&bit != 0 {
			bits |= of
		}
	}
	return []any{hex.EncodeToString([]byte(name)), kind, bits, strconv.FormatInt(nanoseconds, 10), size, content}
}

func digest(from io.Reader) (int64, string, error) {
	hash := sha256.New()
	size, err := io.Copy(hash, from)
	return size, hex.EncodeToString(hash.Sum(nil)), err
}

func ofTar(from io.Reader) (rows [][]any, err error) {
	archive := tar.NewReader(from)
	for {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		if entry.Typeflag == tar.TypeXGlobalHeader {
			// Not a file: what is said of the whole archive, which other readers do not show.
			continue
		}
		kind, size, content := fmt.Sprintf("type %q", entry.Typeflag), int64(0), ""
		switch entry.Typeflag {
		case tar.TypeReg:
			kind = "file"
			if size, content, err = digest(archive); err != nil {
				return nil, err
			}
		case tar.TypeDir:
			kind = "folder"
		case tar.TypeSymlink:
			kind, content = "link", hex.EncodeToString([]byte(entry.Linkname))
		}
		mode := entry.FileInfo().Mode()
		rows = append(rows, row(entry.Name, kind, mode, entry.ModTime.UnixNano(), size, content))
	}
}

func ofZip(path string) (rows [][]any, err error) {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	for _, entry := range archive.File {
		from, err := entry.Open()
		if err != nil {
			return nil, err
		}
		kind, size, content := "file", int64(0), ""
		switch {
		case entry.Mode()&fs.ModeSymlink != 0:
			var target []byte
			target, err = io.ReadAll(from)
			kind, content = "link", hex.EncodeToString(target)
		case entry.Mode().IsDir():
			kind = "folder"
			_, _, err = digest(from)
		default:
			size, content, err = digest(from)
		}
		from.Close()
		if err != nil {
			return nil, fmt.Errorf("%q: %w", entry.Name, err)
		}
		rows = append(rows, row(entry.Name, kind, entry.Mode(), entry.Modified.UnixNano(), size, content))
	}
	return rows, nil
}

func read(ask asked) ([][]any, error) {
	if ask.Format == "zip" {
		return ofZip(ask.Path)
	}
	file, err := os.Open(ask.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var from io.Reader = bufio.NewReaderSize(file, 1<<16)
	if ask.Format == "tar.gz" {
		if from, err = gzip.NewReader(from); err != nil {
			return nil, err
		}
	}
	return ofTar(from)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var ask asked
		if err := json.Unmarshal(lines.Bytes(), &ask); err != nil {
			panic(err)
		}
		rows, err := read(ask)
		told := answer{Entries: rows}
		if err != nil {
			text := err.Error()
			told = answer{Error: &text}
		}
		line, err := json.Marshal(told)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(line))
	}
}
