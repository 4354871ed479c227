package main

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"
)

// app is the service.
type app struct {
	loop     *loop
	listener int
	messages map[int][]byte // answers, by size
	drains   map[*link]func(*stream)
}

// answerMax bounds what a message may ask for.
const answerMax = 1 << 20

func runApp(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: calls app PORT")
	}
	port, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("the port %q is no number", args[0])
	}
	a, err := newApp(port)
	if err != nil {
		return err
	}
	for {
		if err := a.loop.wait(-1, a.event); err != nil {
			return err
		}
	}
}

func newApp(port int) (*app, error) {
	p, err := newLoop()
	if err != nil {
		return nil, err
	}
	a := &app{loop: p, messages: map[int][]byte{}, drains: map[*link]func(*stream){}}
	if a.listener, err = listen(port); err != nil {
		return nil, err
	}
	return a, p.watch(a.listener)
}

func (a *app) event(fd int, events uint32) error {
	if fd == a.listener {
		return a.accept()
	}
	l := a.loop.links[fd]
	if l == nil {
		return nil
	}
	if err := a.loop.serve(l, events, a.drains[l]); err != nil { // the other end has gone, or is none
		delete(a.drains, l)
		a.loop.drop(l)
	}
	return nil
}

func (a *app) accept() error {
	for {
		fd, _, err := unix.Accept4(a.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if errors.Is(err, unix.ECONNABORTED) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		l := newLink(fd, a, preface)
		a.drains[l] = func(s *stream) { a.sent(l, s) }
		if err := errors.Join(noDelay(fd), a.loop.add(l)); err != nil {
			return err
		}
	}
}

// headers implements owner: a call begins, or ends with a trailer. What the fields say is not looked at, so that the table that they are
// compressed with is not kept either.
func (a *app) headers(l *link, id uint32, _ []byte, end bool) error {
	s := l.streams[id]
	if s == nil {
		s = l.open(id)
	}
	if end {
		a.ended(l, s)
	}
	return nil
}

// data implements owner.
func (a *app) data(l *link, id uint32, payload []byte, end bool) error {
	s := l.streams[id]
	if s == nil {
		return nil // it was reset
	}
	s.reader.read(payload, func(answers, size int) {
		if answers = min(answers, answerMax); answers > 0 {
			a.begin(l, s)
			l.send(s, a.message(min(size, answerMax)), answers)
		}
	})
	if end {
		a.ended(l, s)
	}
	return nil
}

// reset implements owner.
func (a *app) reset(l *link, id uint32) { delete(l.streams, id) }

// away implements owner: a client that leaves closes the connection.
func (a *app) away(*link, uint32) {}

var (
	answerHead = []hpack.HeaderField{{Name: ":status", Value: "200"}, {Name: "content-type", Value: "application/grpc"}}
	answerEnd  = []hpack.HeaderField{{Name: "grpc-status", Value: "0"}, {Name: "grpc-message", Value: ""}}
)

// begin sends the answer's head once.
func (a *app) begin(l *link, s *stream) {
	if !s.head {
		s.head = true
		l.head(s.id, 0, answerHead...)
	}
}

// ended is called when the client's direction is at its end.
func (a *app) ended(l *link, s *stream) {
	s.ends = true
	a.begin(l, s)
	a.sent(l, s)
}

// sent ends the call if all is answered.
func (a *app) sent(l *link, s *stream) {
	if s.ends && len(s.sends) == 0 {
		l.head(s.id, flagEnd, answerEnd...)
		delete(l.streams, s.id)
	}
}

func (a *app) message(size int) []byte {
	m := a.messages[size]
	if m == nil {
		m = newMessage(0, 0, size)
		a.messages[size] = m
	}
	return m
}
