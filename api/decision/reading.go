package decision

import (
	"slices"
	"strings"
)

// Reading is one way in which an app may read a path that can be read in several.
type Reading struct {
	// Path is in the form of Request.Path, but dot segments may be in it.
	Path string
	// DenyOnly says that the policies have settled that allow rules read the path in another way. Deny rules, and what
	// allow rules exclude, take this way into account all the same.
	DenyOnly bool
}

// How an app may read a path that it gets.
type (
	// cut is where a segment ends.
	cut int
	// split is what an encoded slash is.
	split int
	// dots is what becomes of dot segments.
	dots int
)

const (
	cutNowhere cut = iota // ";" and what follows is part of the segment
	cutRaw                // a segment ends before ";": path parameters follow (RFC 3986 section 3.3)
	cutDecoded            // and before "%3B"
)

const (
	splitNever  split = iota // data
	splitBefore              // a separator, before parameters are cut off
	splitAfter               // a separator, after that
)

const (
	dotsMerged dots = iota // resolved once slashes have been merged
	dotsStrict             // resolved as RFC 3986 section 5.2.4 says: an empty segment is one
	dotsKept               // not resolved
)

// readings returns the ways other than match in which an app may read the path that it gets, which has a canonical form.
// The error says of a path that one of them climbs above the root.
func readings(raw, match string) ([]Reading, error) {
	text := sentForm(raw)
	cuts, splits, allDots := []cut{cutNowhere}, []split{splitNever}, []dots{dotsMerged}
	if strings.Contains(text, ";") || strings.Contains(text, "%3B") {
		cuts = append(cuts, cutRaw, cutDecoded)
	}
	if strings.Contains(text, "%2F") {
		splits = append(splits, splitBefore, splitAfter)
	}
	if strings.Contains(text, "/.") {
		allDots = append(allDots, dotsStrict, dotsKept)
	}
	var out []Reading
	for _, c := range cuts {
		for _, s := range splits {
			for _, d := range allDots {
				path, ok := readSent(text, c, s, d)
				if !ok {
					return nil, ErrPathParamClimb
				}
				out = addReading(out, match, Reading{Path: path, DenyOnly: c == cutDecoded || s != splitNever})
			}
		}
	}
	return out, nil
}

// addReading adds a reading that is not there yet. One for all rules comes before one for deny rules alone.
func addReading(list []Reading, match string, r Reading) []Reading {
	i := slices.IndexFunc(list, func(have Reading) bool { return have.Path == r.Path })
	switch {
	case r.Path == match:
		return list
	case i < 0:
		return append(list, r)
	}
	list[i].DenyOnly = list[i].DenyOnly && r.DenyOnly
	return list
}

// sentForm writes a path in the form of rules, but for slashes, dot segments and ";", which stay as they were sent.
func sentForm(raw string) string {
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		encoded := c == '%'
		if encoded {
			c = escaped(raw, i)
			i += 2
		}
		if rawInPath(c) || !encoded && (c == '/' || c == ';') {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', upperHex[c>>4], upperHex[c&15]})
		}
	}
	return b.String()
}

// readSent reads a path in one way. It returns false if dot segments climb above the root.
func readSent(text string, c cut, s split, d dots) (string, bool) {
	if s == splitBefore {
		text = strings.ReplaceAll(text, "%2F", "/")
	}
	if c == cutDecoded {
		text = strings.ReplaceAll(text, "%3B", ";")
	}
	segments := strings.Split(text[1:], "/")
	for i, segment := range segments {
		if c != cutNowhere {
			segment, _, _ = strings.Cut(segment, ";")
		}
		if s == splitAfter {
			segment = strings.ReplaceAll(segment, "%2F", "/")
		}
		segments[i] = strings.ReplaceAll(segment, ";", "%3B")
	}
	path := "/" + strings.Join(segments, "/")
	switch d {
	case dotsMerged:
		return resolveDots(mergeSlashes(path))
	case dotsStrict:
		path, ok := resolveDots(path)
		return mergeSlashes(path), ok
	case dotsKept:
	}
	return mergeSlashes(path), true
}

// resolveDots resolves the dot segments of a path (RFC 3986 section 5.2.4). It returns false if they climb above the root.
func resolveDots(path string) (string, bool) {
	var out []string
	last := ""
	for segment := range strings.SplitSeq(path[1:], "/") {
		last = segment
		switch segment {
		case ".":
		case "..":
			if len(out) == 0 {
				return "", false
			}
			out = out[:len(out)-1]
		default:
			out = append(out, segment)
		}
	}
	if last == "." || last == ".." {
		out = append(out, "")
	}
	return "/" + strings.Join(out, "/"), true
}

// mergeSlashes makes repeated slashes one.
func mergeSlashes(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}
