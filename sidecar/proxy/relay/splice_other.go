//go:build !linux

package relay

import "github.com/bearerguard/bearerguard/api/decision"

// pipe is not to be had here.
type pipe struct{ held int }

func (p *pipe) release() {}

func (x *exchange) splices(*upstream) bool { return false }

func (x *exchange) splice(*upstream) error { return nil }

func (x *exchange) pumps(*upstream) *pipe { return nil }

func (x *exchange) pumpSplice(*upstream, *pipe) (decision.Reason, bool) { return "", false }
