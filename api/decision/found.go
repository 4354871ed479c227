package decision

// found is which rules a request comes across, a bit for each, in words as in a mask.
type found struct {
	matches []uint64 // the match fits
	fits    []uint64 // and all conditions hold
	scope   []uint64 // and all conditions hold but for scopes
	login   []uint64 // and all conditions hold but for how the user logged in, and perhaps scopes
}

func newFound(words int) *found {
	all := make([]uint64, 4*words)
	return &found{all[:words], all[words : 2*words], all[2*words : 3*words], all[3*words:]}
}

// add takes in rules that match, and how they turned out.
func (f *found) add(m mask, o outcome) {
	f.matches[m.word] |= m.bits
	f.fits[m.word] |= o.fits
	f.scope[m.word] |= o.scope
	f.login[m.word] |= o.login
}

// join takes in what was found in another reading of the path: deny rules that fit in either, allow rules that fit in both.
// What is found in a reading for deny rules alone says nothing of allow rules.
func (f *found) join(other *found, deny []uint64, denyOnly bool) {
	for i, d := range deny {
		keep := ^uint64(0)
		if !denyOnly {
			keep = other.matches[i] | d
		}
		f.matches[i] = f.matches[i]&keep | other.matches[i]&d
		if !denyOnly {
			keep = other.fits[i] | d
		}
		f.fits[i] = f.fits[i]&keep | other.fits[i]&d
		if !denyOnly {
			f.scope[i] &= other.scope[i]
			f.login[i] &= other.login[i]
		}
	}
}

// has reports whether a rule is in one of the sets.
func has(set []uint64, rule int) bool { return set[rule/64]&(1<<(rule%64)) != 0 }

// walkAll judges the request in every way that its path can be read.
func (j *judge) walkAll(routes *node) {
	all := j.findAll(routes)
	for word := range j.program.deny {
		if o := (outcome{all.fits[word], all.scope[word], all.login[word]}); o != (outcome{}) {
			j.tally(word, o)
		}
	}
	if j.record != nil {
		j.record.found = all
	}
}

// findAll returns the rules that the request comes across in every way that its path can be read.
func (j *judge) findAll(routes *node) *found {
	request, deny := j.request, j.program.deny
	all := newFound(len(deny))
	j.found = all
	routes.walk(j, request.Path[1:], true)
	for _, reading := range request.Readings {
		one := *request
		one.Path, one.Readings = reading.Path, nil
		j.request, j.found = &one, newFound(len(deny))
		routes.walk(j, one.Path[1:], true)
		all.join(j.found, deny, reading.DenyOnly)
	}
	j.request, j.found = request, nil
	return all
}
