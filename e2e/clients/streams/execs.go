package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
)

// execs runs --count short commands. Each writes something of its own to stdout and stderr, every tenth some 24 kB,
// and ends with another exit code.
func (s *sessions) execs(o options, result *report) {
	turns := make(chan int)
	var workers sync.WaitGroup
	for range o.parallel {
		workers.Go(func() {
			for turn := range turns {
				s.exec(o, turn, result)
			}
		})
	}
	for turn := range o.count {
		turns <- turn
	}
	close(turns)
	workers.Wait()
}

func (s *sessions) exec(o options, turn int, result *report) {
	ctx, cancel := context.WithTimeout(context.Background(), o.limit)
	defer cancel()
	lines, code := 0, turn%256
	if turn%10 == 0 {
		lines = 5000
	}
	script := fmt.Sprintf("echo out-%d; echo err-%d >&2; seq 1 %d; exit %d", turn, turn, lines, code)
	var stdout, stderr bytes.Buffer
	streams := remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr}
	err := s.stream(ctx, []string{"sh", "-c", script}, streams)
	ended := 0
	var exit utilexec.CodeExitError
	if errors.As(err, &exit) {
		ended = exit.Code
	} else if err != nil {
		result.failed("exec", err)
		return
	}
	expected := &strings.Builder{}
	fmt.Fprintf(expected, "out-%d\n", turn)
	for line := 1; line <= lines; line++ {
		fmt.Fprintf(expected, "%d\n", line)
	}
	switch {
	case stdout.String() != expected.String() || stderr.String() != fmt.Sprintf("err-%d\n", turn):
		fmt.Fprintf(os.Stderr, "streams: %d is torn: %d of %d bytes of stdout, %d of stderr\n", turn, stdout.Len(),
			expected.Len(), stderr.Len())
		result.count(&result.Torn)
	case ended != code:
		fmt.Fprintf(os.Stderr, "streams: %d ended with %d instead of %d: %v\n", turn, ended, code, err)
		result.count(&result.WrongCode)
	default:
		result.count(&result.OK)
	}
}
