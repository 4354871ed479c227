package frame

import (
	"cmp"
	"slices"
)

// Streams has what belongs to each of a connection's streams, by their numbers, for a Conn itself and for who uses it. It is a list, in the order in which numbers rise: most
// connections have few streams at a time, and an idle one holds next to nothing, where a map would hold room for eight. The zero
// Streams is empty.
type Streams[T any] struct{ list []ofStream[T] }

type ofStream[T any] struct {
	id uint32
	of *T
}

// fewStreams is how many there is room for in a list that is kept although it is empty.
const fewStreams = 64

// Len is how many streams there are.
func (s *Streams[T]) Len() int { return len(s.list) }

// Get returns what belongs to a stream, or nil.
func (s *Streams[T]) Get(id uint32) *T {
	if i, found := s.place(id); found {
		return s.list[i].of
	}
	return nil
}

// Add adds a stream that is not there.
func (s *Streams[T]) Add(id uint32, of *T) {
	i, _ := s.place(id)
	s.list = slices.Insert(s.list, i, ofStream[T]{id, of})
}

// Remove removes a stream, if it is there.
func (s *Streams[T]) Remove(id uint32) {
	i, found := s.place(id)
	if !found {
		return
	}
	if s.list = slices.Delete(s.list, i, i+1); len(s.list) == 0 && cap(s.list) > fewStreams {
		s.list = nil
	}
}

// Pop removes the last stream, and returns what belonged to it; nil: there is none.
func (s *Streams[T]) Pop() *T {
	last := s.last()
	if last != nil {
		s.Remove(s.list[len(s.list)-1].id)
	}
	return last
}

// last returns what belongs to the last stream, or nil.
func (s *Streams[T]) last() *T {
	if n := len(s.list); n > 0 {
		return s.list[n-1].of
	}
	return nil
}

// all goes through what belongs to the streams, of which none may come or go meanwhile.
func (s *Streams[T]) all(yield func(*T) bool) {
	for i := range s.list {
		if !yield(s.list[i].of) {
			return
		}
	}
}

// place is where a stream is, or would be.
func (s *Streams[T]) place(id uint32) (i int, found bool) {
	if n := len(s.list); n == 0 || s.list[n-1].id < id { // as one that begins is
		return n, false
	}
	return slices.BinarySearchFunc(s.list, id, func(e ofStream[T], id uint32) int { return cmp.Compare(e.id, id) })
}
