package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"k8s.io/client-go/tools/remotecommand"
)

// idle opens --count sessions of cat, says "streams: open" on stderr when all answer, leaves them for --for, and says
// "streams: using" before it asks each for another line and ends it.
func (s *sessions) idle(o options, result *report) {
	slots := make(chan struct{}, o.parallel)
	opened := make([]*cat, o.count)
	var workers sync.WaitGroup
	for number := range opened {
		workers.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			cat := s.cat()
			if err := cat.echo(fmt.Sprintf("hello-%d", number), o.limit); err != nil {
				result.failed("opening", err)
				return
			}
			opened[number] = cat
		})
	}
	workers.Wait()
	fmt.Fprintln(os.Stderr, "streams: open")
	time.Sleep(o.idle)
	fmt.Fprintln(os.Stderr, "streams: using")
	for number, cat := range opened {
		if cat == nil {
			continue
		}
		workers.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if err := cat.echo(fmt.Sprintf("again-%d", number), o.limit); err != nil {
				result.failed("after idling", err)
				return
			}
			if err := cat.end(o.limit); err != nil {
				result.failed("ending", err)
				return
			}
			result.count(&result.OK)
		})
	}
	workers.Wait()
}

// cat is a session that answers with what it is told.
type cat struct {
	stdin  *io.PipeWriter
	lines  chan string
	result chan error
}

func (s *sessions) cat() *cat {
	stdin, toStdin := io.Pipe()
	fromStdout, stdout := io.Pipe()
	c := &cat{stdin: toStdin, lines: make(chan string, 1), result: make(chan error, 1)}
	go func() {
		streams := remotecommand.StreamOptions{Stdin: stdin, Stdout: stdout}
		c.result <- s.stream(context.Background(), []string{"cat"}, streams)
		_ = stdin.Close()
		_ = stdout.Close()
	}()
	go func() {
		scanner := bufio.NewScanner(fromStdout)
		for scanner.Scan() {
			c.lines <- scanner.Text()
		}
	}()
	return c
}

func (c *cat) echo(line string, limit time.Duration) error {
	// The pipe takes it only when the session reads.
	go func() { _, _ = fmt.Fprintln(c.stdin, line) }()
	select {
	case answer := <-c.lines:
		if answer != line {
			return fmt.Errorf("another answer than what was said")
		}
		return nil
	case err := <-c.result:
		return fmt.Errorf("it has ended: %v", err)
	case <-time.After(limit):
		return fmt.Errorf("no answer in %s", limit)
	}
}

func (c *cat) end(limit time.Duration) error {
	_ = c.stdin.Close()
	select {
	case err := <-c.result:
		return err
	case <-time.After(limit):
		return fmt.Errorf("not within %s", limit)
	}
}
