package frame

// Field blocks are encoded without state: no field gets into the peer's table, nor into one of whoever the peer passes it on to, as those must
// not that have come so (RFC 7541 section 6.2.3), and no string is Huffman-coded. So what is sent needs
// not be kept, nothing that a client says is compressed together with what others say (RFC 7541 section 7.1), and a token costs a
// copy, where looking it up or coding it costs several times as much. The price is bytes on the wire, most of which go to an app
// beside us.

// noTable is a dynamic table size update to nothing (RFC 7541 section 6.3), at the start of the first block.
const noTable = 0x20

// encode appends the fields to b.
func encode(b []byte, fields []Field) []byte {
	for i := range fields {
		b = encodeField(b, &fields[i])
	}
	return b
}

func encodeField(b []byte, f *Field) []byte {
	index, whole := static(f.Name, f.Value)
	if whole {
		return append(b, 0x80|index)
	}
	b = encodeInt(b, 0x10, 4, int(index)) // never indexed
	if index == 0 {
		b = encodeInt(b, 0, 7, len(f.Name))
		for i := range len(f.Name) {
			b = append(b, lower(f.Name[i]))
		}
	}
	return append(encodeInt(b, 0, 7, len(f.Value)), f.Value...)
}

// encodeInt appends an integer with a prefix of some bits (RFC 7541 section 5.1).
func encodeInt(b []byte, flags byte, prefix, n int) []byte {
	most := 1<<prefix - 1
	if n < most {
		return append(b, flags|byte(n))
	}
	b = append(b, flags|byte(most))
	for n -= most; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// longest is the length of the longest name in the static table.
const longest = len("access-control-allow-origin")

// static looks a field up in the static table (RFC 7541 appendix A). The index is 0 if not even the name is there.
func static(name, value string) (index byte, whole bool) {
	if name == "" || len(name) > longest {
		return 0, false
	}
	if name[0] == ':' {
		for i := range statics[:14] { // pseudo-fields come first, those of a name together
			switch s := &statics[i]; {
			case s.Name != name:
			case s.Value == value:
				return byte(i + 1), true
			case index == 0:
				index = byte(i + 1)
			}
		}
		return index, false
	}
	var low [longest]byte
	for i := range len(name) {
		low[i] = lower(name[i])
	}
	return staticNames[string(low[:len(name)])], false
}

// staticNames has the indices of the static table's names.
var staticNames = func() map[string]byte {
	m := map[string]byte{}
	for i := len(statics) - 1; i >= 0; i-- {
		m[statics[i].Name] = byte(i + 1)
	}
	return m
}()
