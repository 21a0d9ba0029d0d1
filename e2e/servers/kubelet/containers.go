package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"time"

	"github.com/creack/pty"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// What a pod is said to run, for attach.
const process = `echo attached; while read -r line; do echo "out $line"; echo "err $line" >&2; done; echo ended`

// ExecInContainer runs a command and waits until all that it wrote is on its way.
func (s *streams) ExecInContainer(ctx context.Context, _ string, _ types.UID, _ string, command []string, in io.Reader,
	out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	if len(command) == 0 {
		return errors.New("no command")
	}
	// A client that goes away ends its command, which a container runtime does not do but a test wants.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	if tty {
		return exitError(onTerminal(cmd, in, out, resize))
	}
	cmd.Stdout, cmd.Stderr = out, errOut
	if in != nil {
		// Not cmd.Stdin: Wait would wait for a client who never ends its side.
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(stdin, in)
			_ = stdin.Close()
		}()
	}
	return exitError(cmd.Run())
}

// AttachContainer joins the pod's process; each client has one of its own.
func (s *streams) AttachContainer(ctx context.Context, name string, uid types.UID, container string, in io.Reader,
	out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	command := []string{"/bin/sh", "-c", process}
	return s.ExecInContainer(ctx, name, uid, container, command, in, out, errOut, tty, resize, 0)
}

// PortForward copies between a stream and the one port that there is.
func (s *streams) PortForward(_ context.Context, _ string, _ types.UID, _ int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.forward))
	if err != nil {
		return err
	}
	defer connection.Close()
	go func() {
		_, _ = io.Copy(connection, stream)
		_ = connection.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(stream, connection)
	return err
}

func onTerminal(cmd *exec.Cmd, in io.Reader, out io.Writer, resize <-chan remotecommand.TerminalSize) error {
	terminal, err := pty.Start(cmd)
	if err != nil {
		return err
	}
	defer terminal.Close()
	go func() {
		for size := range resize {
			_ = pty.Setsize(terminal, &pty.Winsize{Rows: size.Height, Cols: size.Width})
		}
	}()
	if in != nil {
		go func() { _, _ = io.Copy(terminal, in) }()
	}
	// Ends with EIO when the last process has closed the terminal: everything has been read then.
	_, _ = io.Copy(out, terminal)
	return cmd.Wait()
}

// exitError is err as kubelet's packages know one that tells the exit code.
func exitError(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &utilexec.ExitErrorWrapper{ExitError: exit}
	}
	return err
}
