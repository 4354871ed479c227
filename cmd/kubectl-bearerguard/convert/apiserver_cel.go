package convert

import (
	"fmt"
	"strconv"
	"strings"
)

// outside gives the pieces of an expression that are outside of texts, and puts back together what change makes of them.
func outside(cel string, change func(string) string) (out string, ok bool) {
	var b strings.Builder
	for cel != "" {
		at := strings.IndexAny(cel, `"'`)
		if at < 0 {
			b.WriteString(change(cel))
			break
		}
		if at > 0 && strings.IndexByte("rRbB", cel[at-1]) >= 0 || strings.HasPrefix(cel[at:], `"""`) || strings.HasPrefix(cel[at:], `'''`) || strings.Contains(cel[:at], "//") {
			return "", false // texts of other kinds, and comments
		}
		end := at + 1
		for end < len(cel) && cel[end] != cel[at] {
			if cel[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(cel) {
			return "", false
		}
		b.WriteString(change(cel[:at]) + cel[at:end+1])
		cel = cel[end+1:]
	}
	return b.String(), true
}

// sameCEL reports whether an expression over claims means here what it means to the API server. Numbers are of other types, so that a
// division may come out otherwise.
func sameCEL(cel string) bool {
	same := cel != ""
	_, ok := outside(cel, func(piece string) string {
		same = same && !strings.ContainsAny(piece, "/%")
		return piece
	})
	return ok && same
}

// over puts what an issuer's tokens say of a user into an expression over user. It reports false if the expression asks for
// something else.
func (u user) over(cel string) (out string, ok bool) {
	if !sameCEL(cel) {
		return "", false
	}
	ok = true
	name, has := u.name.cel(false)
	groups, hasGroups := u.groups.cel(true)
	uid, hasUID := u.uid.cel(false)
	out, read := outside(cel, func(piece string) string {
		var b strings.Builder
		for piece != "" {
			before, after, found := cutWord(piece, "user")
			b.WriteString(before)
			if !found {
				break
			}
			switch {
			case isField(after, ".username"):
				after, ok = after[len(".username"):], ok && has
				b.WriteString(name)
			case isField(after, ".groups"):
				after, ok = after[len(".groups"):], ok && hasGroups
				b.WriteString(groups)
			case isField(after, ".uid"):
				after, ok = after[len(".uid"):], ok && hasUID
				b.WriteString(uid)
			default:
				ok = false
			}
			piece = after
		}
		return b.String()
	})
	return out, ok && read
}

// cel is a mapping as an expression: a text, or with list a list of texts.
func (m mapping) cel(list bool) (string, bool) {
	switch {
	case m.expression != "":
		if list {
			return "", false // it may be a text or a list
		}
		return "(" + m.expression + ")", sameCEL(m.expression)
	case m.claim == "" && list:
		return "[]", true
	case m.claim == "":
		return `""`, true
	}
	at := celPath(m.path)
	if !list && m.prefix == "" {
		return at, true
	}
	if !list {
		return fmt.Sprintf("(%s + %s)", strconv.Quote(m.prefix), at), true
	}
	all := fmt.Sprintf("(%[2]s ? (type(%[1]s) == list ? %[1]s : [%[1]s]) : [])", at, claimThere(m.path))
	if m.prefix != "" {
		all = fmt.Sprintf("%s.map(g, %s + g)", all, strconv.Quote(m.prefix))
	}
	return all, true
}

// isField reports whether a text goes on with the field.
func isField(text, field string) bool {
	return strings.HasPrefix(text, field) && (len(text) == len(field) || !wordByte(text[len(field)]))
}

// cutWord cuts at a word that stands alone and is no field of another.
func cutWord(text, word string) (before, after string, found bool) {
	for from := 0; ; {
		at := strings.Index(text[from:], word)
		if at < 0 {
			return text, "", false
		}
		at += from
		end := at + len(word)
		alone := (at == 0 || !wordByte(text[at-1]) && text[at-1] != '.') && (end == len(text) || !wordByte(text[end]))
		if alone {
			return text[:at], text[end:], true
		}
		from = end
	}
}

func wordByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
