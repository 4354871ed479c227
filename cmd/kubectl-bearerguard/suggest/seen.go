package suggest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
)

// Bounds of what is read.
const (
	mostLine     = 64 << 10 // bytes
	mostDistinct = 200_000
)

// call is what is told apart of requests.
type call struct {
	method, path string
	port         int32
	issuer       string // name in the policy; empty: not told
	scopes       string // separated by spaces
	told         bool   // the log has scopes
}

// Seen is what a log has of one Audit policy. Make one with NewSeen.
type Seen struct {
	policy string

	calls map[call]int // that the policy has no rule for

	// Lines is how many were read, and Others how many of them are no decisions, or of which the policy is not asked.
	Lines, Others int
	// Allowed are let in by rules that are there.
	Allowed int
	// Suppressed were not logged, since there were too many at once.
	Suppressed int
	// Without a token, by "METHOD /path".
	Without map[string]int
	// Refused for another reason than the want of a rule: by reason, and the rule if one denies.
	Refused map[string]int
	// Unclear are of a token that the log does not name the issuer of, or of a path that it does not show whole.
	Unclear int
}

// NewSeen is what a log has of the policy "namespace/name", before anything was read.
func NewSeen(policy string) *Seen {
	return &Seen{policy: policy, calls: map[call]int{}, Without: map[string]int{}, Refused: map[string]int{}}
}

// line is a line of the decision log.
type line struct {
	Message    string `json:"msg"`
	Decision   string `json:"decision"`
	Reason     string `json:"reason"`
	Method     string `json:"method"`
	Path       string `json:"path"`
	Port       int32  `json:"port"`
	Suppressed int    `json:"suppressed"`
	Audit      []struct {
		Policy      string          `json:"policy"`
		Rule        string          `json:"rule"`
		Decision    string          `json:"decision"`
		Reason      decision.Reason `json:"reason"`
		IssuerEntry string          `json:"issuerEntry"`
		Scopes      *[]string       `json:"scopes"`
	} `json:"x-bearerguard-audit"`
}

// Read reads a log: lines of JSON, also with something before them, as "kubectl logs --prefix" writes. Other lines are passed over.
func (s *Seen) Read(r io.Reader) error {
	b := bufio.NewReaderSize(r, mostLine)
	for {
		text, err := b.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = b.ReadSlice('\n')
		}
		if len(text) > 0 {
			s.Lines++
			if long || !s.Add(text) {
				s.Others++
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// Add takes one line; it reports whether that is a decision about which the policy was asked.
func (s *Seen) Add(text []byte) bool {
	i := bytes.IndexByte(text, '{')
	if i < 0 {
		return false
	}
	var l line
	if json.Unmarshal(text[i:], &l) != nil || l.Message != "request decided" {
		return false
	}
	for _, a := range l.Audit {
		if a.Policy != s.policy {
			continue
		}
		s.Suppressed += max(0, l.Suppressed)
		c := call{method: l.Method, path: l.Path, port: l.Port, issuer: a.IssuerEntry}
		if a.Scopes != nil {
			c.told, c.scopes = true, joined(*a.Scopes)
		}
		s.add(c, l.Decision, a.Decision == "allow", a.Reason, a.Rule)
		return true
	}
	return false
}

// joined is scopes in the order of their names.
func joined(scopes []string) string {
	scopes = slices.DeleteFunc(slices.Clone(scopes), func(s string) bool {
		return s == "" || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' })
	})
	slices.Sort(scopes)
	return strings.Join(slices.Compact(scopes), " ")
}

func (s *Seen) add(c call, fate string, allowed bool, reason decision.Reason, rule string) {
	switch {
	case allowed:
		s.Allowed++
	case fate == "deny":
		s.Refused["another policy, which is in force"]++
	case reason == decision.NoToken:
		bounded(s.Without, c.method+" "+c.path)
	case reason != decision.NoRule && reason != decision.InsufficientScope:
		name := string(reason)
		if rule != "" {
			name += " by rule " + rule
		}
		bounded(s.Refused, name)
	case !readable(c):
		s.Unclear++
	default:
		if _, known := s.calls[c]; !known && len(s.calls) >= mostDistinct {
			s.Unclear++
			return
		}
		s.calls[c]++
	}
}

// bounded counts, without an end to how much is told apart.
func bounded(m map[string]int, key string) {
	if _, known := m[key]; !known && len(m) >= mostDistinct {
		key = "others"
	}
	m[key]++
}

// readable reports whether a request can be matched again by what the log has of it: a method that a policy can name, and a canonical path
// that is whole.
func readable(c call) bool {
	read, err := decision.ReadPath(c.path, decision.PathOptions{})
	if err != nil || read.Match != c.path || len(c.path) > 500 || len(c.method) == 0 || len(c.method) > 32 || c.method[0] < 'A' || c.method[0] > 'Z' {
		return false
	}
	return !strings.ContainsFunc(c.method, func(c rune) bool { return (c < 'A' || c > 'Z') && c != '-' })
}
