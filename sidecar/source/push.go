package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/departed"
	"github.com/bearerguard/bearerguard/api/revoked"
)

// PushConfig is how the push service is reached.
type PushConfig struct {
	// Address of the service, "host:port".
	Address string
	// ServerName is the name in its certificate. Default: the host of Address.
	ServerName string
	// CAFile has the PEM certificates that its certificate must chain to. Read again for each connection.
	CAFile string
	// TokenFile has the sidecar's own token, a projected service-account token. Read again for each connection.
	TokenFile string
	// Release is the sidecar's own, for people.
	Release string
	// Apply puts bundles in force.
	Apply Apply
	// Revoke puts revocations in force. Default: nobody does.
	Revoke func(*revoked.Set)
	// Unsaved is told that something in force could not be saved. Default: nobody.
	Unsaved func()
	// Gone is told of pods and service accounts that have been deleted. Nil: nobody is.
	Gone func([]departed.Entry)
	// Leaving is told that the pod is being deleted, perhaps more than once. Default: nobody is.
	Leaving func()
	// Checked is told of key sets that have been looked at anew. Default: nobody.
	Checked Checked
	// MaxStaleness is how old the rules in force may be; 0: any age. Stale is told when they are older, and when they are not any
	// more. See Freshness.
	MaxStaleness time.Duration
	Stale        func(bool)
	// LastGood keeps what was applied.
	LastGood LastGood
	// Log gets state changes.
	Log logr.Logger
}

// Push takes bundles from the controller. Make it with NewPush.
type Push struct {
	c       PushConfig
	asks    *asks
	contact *contact
	saved   atomic.Bool // the copy on disk is that of the rules in force

	// Touched by Run only.
	keys  map[string]bundle.KeySet // of the bundle in force
	looks map[string]look          // at key sets, by id; still to be told of

	stirred chan struct{} // size 1: there may be news of the sidecar to tell

	revocations revocations // touched by Run only, too
	pace        pace        // and this

	mu      sync.Mutex
	version string        // guarded by mu; of the bundle in force, survives reconnects
	state   pushv1.State  // guarded by mu: what the sidecar is
	told    *pushv1.State // guarded by mu: what this stream has been told of that

	rulesLost, revocationsLost bool // guarded by mu: what is in force could not be saved
}

// goodStream is how long a stream has to live to be a good one although nothing was to be said.
const goodStream = time.Minute

// NewPush returns a client that is not connected yet.
func NewPush(c PushConfig) *Push {
	if c.Checked == nil {
		c.Checked = func(string, time.Time) {}
	}
	if c.Revoke == nil {
		c.Revoke = func(*revoked.Set) {}
	}
	if c.Leaving == nil {
		c.Leaving = func() {}
	}
	if c.Unsaved == nil {
		c.Unsaved = func() {}
	}
	if c.Stale == nil {
		c.Stale = func(bool) {}
	}
	p := &Push{c: c, asks: newAsks(), looks: map[string]look{}, stirred: make(chan struct{}, 1)}
	p.contact = &contact{log: c.Log, most: c.MaxStaleness, stale: c.Stale, keep: func() {
		if p.saved.Load() {
			c.LastGood.Confirm()
		}
	}}
	return p
}

// Freshness returns how new the rules in force are.
func (p *Push) Freshness() Freshness { return p.contact.state() }

// UnknownKey reports that a token is not verified by a key set, and that newer keys could do it. What is asked for is sent
// once until it has been answered. It returns how long it is until the keys can be looked at, as far as is known, and false
// if the controller has not been reached for a while. It does not block.
func (p *Push) UnknownKey(keySet string) (in time.Duration, ok bool) { return p.asks.want(keySet) }

// Run starts from the last good copy, connects, and reconnects for ever, until ctx is done; then it returns nil.
func (p *Push) Run(ctx context.Context) error {
	p.restoreRevocations()
	p.restore()
	defer p.contact.end()
	for ctx.Err() == nil {
		began := time.Now()
		received, err := p.connect(ctx)
		if ctx.Err() != nil {
			break
		}
		// A stream that carried something, or lived long, was a good one: begin patient waiting anew only then.
		if received || time.Since(began) > goodStream {
			p.pace.good()
		}
		wait := p.pace.next(p.currentVersion() != "")
		p.contact.lost(cause(err))
		p.c.Log.Info("push stream ended; going on with the rules in force", "cause", cause(err), "retryAfter", wait.Round(time.Millisecond).String())
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return nil //nolint:nilerr // a stream that ends because ctx is done is no failure
}

// restore puts the last good copy in force, if there is one.
func (p *Push) restore() {
	saved := p.c.LastGood.Confirmed()
	b, version, err := p.c.LastGood.Load()
	if err != nil || b == nil {
		saved = time.Time{}
	}
	p.contact.begin(saved) // before the first request may be judged by rules that are too old
	if err == nil && b != nil {
		if err = p.c.Apply(b, version); err == nil {
			p.setVersion(version)
			p.keys = b.KeySets
			p.holds(b)
			p.c.Log.Info("started from the last good copy", "version", version)
			p.saved.Store(true)
			return
		}
		p.contact.none()
	}
	if err != nil {
		p.c.Log.Error(err, "the last good copy is of no use")
	}
}

// connect makes one connection and follows its stream to the end. received says whether anything came.
func (p *Push) connect(ctx context.Context) (received bool, err error) {
	creds, err := p.transport()
	if err != nil {
		return false, err
	}
	conn, err := grpc.NewClient(p.c.Address,
		grpc.WithTransportCredentials(creds),
		grpc.WithPerRPCCredentials(tokenFile(p.c.TokenFile)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(bundle.MaxSize+4<<20)),
		grpc.WithContextDialer(dial),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectWait}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: hangs, Timeout: unanswered}),
		grpc.WithStaticStreamWindowSize(window), grpc.WithStaticConnWindowSize(window), grpc.WithReadBufferSize(0),
		grpc.WithDisableServiceConfig(), grpc.WithNoProxy(),
	)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := pushv1.NewPushClient(conn).Stream(ctx)
	if err != nil {
		return false, err
	}
	return p.follow(ctx, cancel, stream)
}

// follow sends from one goroutine, since a stream allows no more, and receives in this one.
func (p *Push) follow(ctx context.Context, cancel func(), stream pushv1.Push_StreamClient) (received bool, err error) {
	p.asks.begin()
	defer p.asks.end()
	answers := make(chan *pushv1.ClientMessage, 1)
	p.newStream()
	p.revocations.drop()
	hello := p.hello()
	var sender sync.WaitGroup
	defer sender.Wait()
	defer cancel()
	sender.Go(func() { defer cancel(); p.send(ctx, stream, hello, answers) })
	for {
		m, err := stream.Recv()
		if err != nil {
			p.pace.hear(stream.Trailer())
			return received, err
		}
		received = true
		p.contact.heard()
		p.hear(m.GetGone())
		if v := m.GetCurrent(); v != "" {
			if v == p.currentVersion() {
				p.contact.newest()
			}
			continue
		}
		if m.GetLeaving() {
			p.c.Leaving()
			continue
		}
		if k := m.GetKeysChecked(); k != nil {
			p.checked(k)
			continue
		}
		if m.GetVersion() == "" && len(m.GetGone()) > 0 {
			continue
		}
		var answer *pushv1.ClientMessage
		if r := m.GetRevocations(); r != nil {
			if answer = p.revoke(r); answer == nil {
				continue
			}
		} else {
			answer = p.take(m)
			p.tell()
		}
		select {
		case answers <- answer:
			p.stir() // after it
		case <-ctx.Done():
			return received, ctx.Err()
		}
	}
}

func (p *Push) hello() *pushv1.ClientMessage {
	return &pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Hello{Hello: &pushv1.Hello{
		Version: p.currentVersion(), Features: uint64(bundle.KnownFeatures), SidecarVersion: p.c.Release, Revocations: p.revocations.held(),
	}}}
}

// send says Hello, and then answers and news of the sidecar.
func (p *Push) send(ctx context.Context, stream pushv1.Push_StreamClient, hello *pushv1.ClientMessage, answers <-chan *pushv1.ClientMessage) {
	due := []*pushv1.ClientMessage{hello}
	due = p.addNews(due)
	for {
		for _, m := range due {
			if stream.Send(m) != nil {
				return // Recv has the cause
			}
		}
		due = due[:0]
		select {
		case <-ctx.Done():
			return
		case m := <-answers:
			due = append(due, m)
		case <-p.stirred:
			select {
			case m := <-answers: // it came first
				due = append(due, m)
			default:
			}
			due = p.addNews(due)
		case <-p.asks.wake:
			for _, id := range p.asks.take() {
				due = append(due, unknownKey(id))
			}
		}
	}
}

// hear passes on what is gone.
func (p *Push) hear(encoded []byte) {
	if len(encoded) == 0 || p.c.Gone == nil {
		return
	}
	entries, err := departed.Decode(encoded)
	if err != nil {
		p.c.Log.Error(err, "refused a part of a message")
		return
	}
	p.c.Gone(entries)
	p.c.Log.V(1).Info("pods or service accounts are gone", "number", len(entries))
}

// take puts a bundle in force, or says why not.
func (p *Push) take(m *pushv1.ServerMessage) *pushv1.ClientMessage {
	version := m.GetVersion()
	if err := p.apply(m.GetBundle(), version); err != nil {
		p.contact.behind()
		p.c.Log.Error(err, "refused a bundle; going on with the rules in force", "version", version)
		return &pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Nack{Nack: &pushv1.Nack{Version: version, Reason: bounded(err.Error())}}}
	}
	p.contact.newest()
	return &pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Ack{Ack: &pushv1.Ack{Version: version}}}
}

func (p *Push) apply(encoded []byte, version string) error {
	if bundle.Version(encoded) != version {
		return errors.New("the bundle is not what its version says")
	}
	b, err := bundle.Decode(encoded)
	if err != nil {
		return fmt.Errorf("%w (the sidecar is release %s; restart its pod to have that of the controller)", err, p.c.Release)
	}
	kept := b.KeepKeys(p.keys)
	if err := p.c.Apply(b, version); err != nil {
		return err
	}
	p.setVersion(version)
	p.keys = b.KeySets
	p.holds(b)
	p.c.Log.Info("rules in force", "version", version, "policies", len(b.Policies), "oldKeysKept", kept)
	if kept {
		if encoded, err = bundle.Encode(b); err != nil {
			return err
		}
	}
	err = p.c.LastGood.Save(encoded, bundle.Version(encoded))
	p.saved.Store(err == nil)
	p.savedRules(err == nil)
	if err != nil {
		p.c.Log.Error(err, "a restart will begin with an older copy, or none, until the controller answers")
	}
	return nil
}

func (p *Push) currentVersion() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.version
}

func (p *Push) setVersion(v string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.version = v
}

// cause is an error for the log: a status without gRPC's wrapping.
func cause(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Code().String() + ": " + s.Message()
	}
	return err.Error()
}

// bounded keeps a NACK's reason below 4 KiB.
func bounded(s string) string {
	const most = 4 << 10
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-4], "") + " ..."
}
