package push

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/push/reportv1"
)

const (
	// reportPause gathers changes before they are reported.
	reportPause = 50 * time.Millisecond
	// leaderPoll is how often the leader is looked for.
	leaderPoll = 2 * time.Second
	// maxChange bounds the sidecars in one message.
	maxChange = 200
)

// Leader finds the replica that leads.
type Leader interface {
	// Address is where the leader's push service is, host:port; empty if there is none or it is this replica.
	Address(ctx context.Context) (string, error)
}

// Reporter tells the leader of this replica's sidecars. Run it beside the Server on every replica.
type Reporter struct {
	Server *Server
	Leader Leader
	// Replica names this replica; unique.
	Replica string
	// Peers is how replicas know each other.
	Peers Peers
	Log   logr.Logger
}

// Run reports until ctx is done.
func (r *Reporter) Run(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	r.Server.watchLocal(changed)
	defer r.Server.watchLocal(nil)
	for ctx.Err() == nil {
		address, err := r.Leader.Address(ctx)
		switch {
		case err != nil:
			r.Log.V(1).Info("leader is not known", "cause", err.Error())
		case address != "":
			err = r.report(ctx, address, changed)
			if err != nil && ctx.Err() == nil {
				r.Log.V(1).Info("report to the leader ended", "leader", address, "cause", err.Error())
			}
		}
		pause(ctx, leaderPoll)
	}
	return nil
}

// report keeps one stream to the leader until it breaks or another replica leads.
func (r *Reporter) report(ctx context.Context, address string, changed <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(r.Peers.client())))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // the stream's own error says more
	rpc, err := reportv1.NewReportsClient(conn).Report(ctx)
	if err != nil {
		return err
	}
	if err := rpc.Send(&reportv1.Change{Replica: r.Replica}); err != nil {
		return closed(rpc, err)
	}
	r.Server.setLed(true)
	defer r.Server.setLed(false)
	look := time.NewTicker(leaderPoll)
	defer look.Stop()
	told, said := map[string]Sidecar{}, map[string]string{}
	for {
		now, failing := r.Server.local(), r.Server.config.Failing()
		for _, m := range append(changes(told, now), failures(said, failing)...) {
			if err := rpc.Send(m); err != nil {
				return closed(rpc, err)
			}
		}
		told, said = now, failing
		select {
		case <-changed:
			pause(ctx, reportPause)
		case <-look.C:
			if leader, err := r.Leader.Address(ctx); err == nil && leader != address {
				return errors.New("another replica leads")
			}
		case <-rpc.Context().Done():
			return closed(rpc, rpc.Context().Err())
		}
	}
}

// closed returns why a stream ended, which the failed Send does not tell.
func closed(rpc reportv1.Reports_ReportClient, err error) error {
	if _, cause := rpc.CloseAndRecv(); cause != nil {
		return cause
	}
	return err
}

// changes returns the messages that lead from one state to another.
func changes(old, now map[string]Sidecar) []*reportv1.Change {
	var out []*reportv1.Change
	m := &reportv1.Change{}
	named := map[string]bool{}
	full := func() {
		if len(m.GetSidecars())+len(m.GetGone()) >= maxChange {
			out, m, named = append(out, m), &reportv1.Change{}, map[string]bool{}
		}
	}
	for uid, c := range now {
		if old[uid] == c {
			continue
		}
		full()
		m.Versions = append(m.Versions, versions(named, c.Acked, c.Rejected)...)
		m.Sidecars = append(m.Sidecars, &reportv1.Sidecar{
			Namespace: c.Namespace, Pod: c.Pod, Uid: uid,
			Acked: versionOf(c.Acked), Rejected: versionOf(c.Rejected), Reason: c.Reason,
			Open: c.Open, Foreign: c.Foreign, Unsaved: c.Unsaved,
			Revocations: given(c.Revocations.Acked), RefusedRevocations: given(c.Revocations.Rejected), RefusedRevocationsReason: c.Revocations.Reason,
			Lacks: strings.FieldsFunc(c.Lacking, func(r rune) bool { return r == '\n' }),
		})
	}
	for uid, c := range old {
		if _, ok := now[uid]; !ok {
			full()
			m.Gone = append(m.Gone, &reportv1.Gone{Namespace: c.Namespace, Uid: uid})
		}
	}
	if len(m.GetSidecars())+len(m.GetGone()) > 0 {
		out = append(out, m)
	}
	return out
}

// versions describes those of refs that are not named yet.
func versions(named map[string]bool, refs ...*compile.Ref) []*reportv1.Version {
	var out []*reportv1.Version
	for _, r := range refs {
		if r == nil || named[r.Version] {
			continue
		}
		named[r.Version] = true
		v := &reportv1.Version{Version: r.Version}
		for _, p := range r.Policies {
			v.Policies = append(v.Policies, &reportv1.Policy{Name: p.Name, Uid: p.UID, Generation: p.Generation})
		}
		out = append(out, v)
	}
	return out
}

func versionOf(r *compile.Ref) string {
	if r == nil {
		return ""
	}
	return r.Version
}

// given is nothing for the zero version.
func given(v revoked.Version) []byte {
	if v == (revoked.Version{}) {
		return nil
	}
	return v[:]
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// failures tells what fails, if that has changed.
func failures(old, now map[string]string) []*reportv1.Change {
	if maps.Equal(old, now) {
		return nil
	}
	return []*reportv1.Change{{Failing: &reportv1.Failing{Causes: now}}}
}
