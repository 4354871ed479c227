package push

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/push/reportv1"
)

// stale is how long the report of a replica stands after its stream has ended, so that a reconnect does not show.
const stale = 5 * time.Second

// reports serves the Reports service on a Server.
type reports struct {
	reportv1.UnimplementedReportsServer
	server *Server
	known  func(credentials.TLSInfo) error
}

// Report takes in what another replica says of its sidecars.
func (r *reports) Report(rpc reportv1.Reports_ReportServer) error {
	from, ok := strangerOf(rpc.Context())
	if !ok || r.known(from.TLSInfo) != nil {
		return status.Error(codes.PermissionDenied, "only replicas of the controller may report")
	}
	from.leave()
	first, err := rpc.Recv()
	if err != nil {
		return err
	}
	if first.GetReplica() == "" {
		return status.Error(codes.InvalidArgument, "the first message names no replica")
	}
	in := &incoming{server: r.server, name: first.GetReplica(), versions: map[string]*compile.Ref{}}
	in.begin()
	defer in.end()
	for m := first; ; {
		in.take(m)
		if m, err = rpc.Recv(); err != nil {
			return err
		}
	}
}

// incoming is one stream of reports.
type incoming struct {
	server   *Server
	name     string
	versions map[string]*compile.Ref // shared by the sidecars that name them
}

// maxVersions is how many versions are kept before those that no sidecar names any more are dropped.
const maxVersions = 256

// begin replaces what the replica reported on an earlier stream.
func (in *incoming) begin() {
	s := in.server
	s.mu.Lock()
	defer s.mu.Unlock()
	since := time.Now()
	if old := s.replicas[in.name]; old != nil {
		since = old.since
		if old.over != nil {
			old.over.Stop()
		}
		s.dropped(old, time.Now())
	}
	s.replicas[in.name] = &replica{from: in, since: since, sidecars: map[string]map[string]Sidecar{}}
}

// end forgets the replica after a while, unless it has come back.
func (in *incoming) end() {
	s := in.server
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.replicas[in.name]
	if r == nil || r.from != in { // a newer stream took over, and may be over and forgotten too
		return
	}
	r.ended = time.Now()
	r.over = time.AfterFunc(stale, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.replicas[in.name] == r {
			delete(s.replicas, in.name)
			s.dropped(r, r.ended)
		}
	})
}

// dropped notes that a replica was lost, and its sidecars with it. It is called with mu held.
func (s *Server) dropped(r *replica, at time.Time) {
	for namespace, sidecars := range r.sidecars {
		for _, c := range sidecars {
			c.Moved = true
			s.lose(c, at)
		}
		s.config.Changed(namespace)
	}
}

func (in *incoming) take(m *reportv1.Change) {
	for _, v := range m.GetVersions() {
		now := ref(v) // a policy that was made anew may have the version of before
		if was := in.versions[now.Version]; was == nil || !slices.Equal(was.Policies, now.Policies) {
			in.versions[now.Version] = now
		}
	}
	s := in.server
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.replicas[in.name]
	if r == nil || r.from != in {
		return
	}
	s.takeFailing(r, m.GetFailing())
	touched := map[string]bool{}
	for _, g := range m.GetGone() {
		touched[g.GetNamespace()] = true
		s.lose(r.sidecars[g.GetNamespace()][g.GetUid()], time.Now())
		delete(r.sidecars[g.GetNamespace()], g.GetUid())
	}
	for _, c := range m.GetSidecars() {
		touched[c.GetNamespace()] = true
		if r.sidecars[c.GetNamespace()] == nil {
			r.sidecars[c.GetNamespace()] = map[string]Sidecar{}
		}
		r.sidecars[c.GetNamespace()][c.GetUid()] = Sidecar{
			Namespace: c.GetNamespace(), Pod: c.GetPod(), UID: c.GetUid(),
			Acked: in.versions[c.GetAcked()], Rejected: in.versions[c.GetRejected()], Reason: c.GetReason(),
			Open: c.GetOpen(), Foreign: c.GetForeign(), Unsaved: c.GetUnsaved(),
			Lacking: strings.Join(c.GetLacks(), "\n"),
			Revocations: Revocations{
				Acked: reportedVersion(c.GetRevocations()), Rejected: reportedVersion(c.GetRefusedRevocations()), Reason: c.GetRefusedRevocationsReason(),
			},
		}
	}
	if len(in.versions) > maxVersions {
		in.versions = r.named()
	}
	for namespace := range touched {
		s.config.Changed(namespace)
	}
}

// reportedVersion is the zero one for what is none.
func reportedVersion(b []byte) (v revoked.Version) {
	if len(b) == len(v) {
		copy(v[:], b)
	}
	return v
}

func ref(v *reportv1.Version) *compile.Ref {
	out := &compile.Ref{Version: v.GetVersion()}
	for _, p := range v.GetPolicies() {
		out.Policies = append(out.Policies, compile.PolicyRef{Name: p.GetName(), UID: p.GetUid(), Generation: p.GetGeneration()})
	}
	return out
}

// named returns the versions that the replica's sidecars name.
func (r *replica) named() map[string]*compile.Ref {
	out := map[string]*compile.Ref{}
	for _, sidecars := range r.sidecars {
		for _, c := range sidecars {
			for _, x := range []*compile.Ref{c.Acked, c.Rejected} {
				if x != nil {
					out[x.Version] = x
				}
			}
		}
	}
	return out
}
