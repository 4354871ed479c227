package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// DecodeSpec reads a Spec from JSON, strictly: a field that is not known, data after the end, and null in any place are
// errors. A null is most often a slip, and would count as a field that was left out or, in a list, as an empty string.
func DecodeSpec(data []byte) (Spec, error) {
	var spec Spec
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&spec); err != nil {
		return Spec{}, fmt.Errorf("spec: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Spec{}, errors.New("spec: data after the end of the JSON value")
	}
	if path := nullIn(json.NewDecoder(bytes.NewReader(data)), "spec"); path != "" {
		return Spec{}, fmt.Errorf("%s: is null; want a value, or leave it out", path)
	}
	return spec, nil
}

// nullIn returns the path of the first null in the next value of a decoder, which is valid, or "".
func nullIn(d *json.Decoder, path string) string {
	token, err := d.Token()
	switch {
	case err != nil:
		return ""
	case token == nil:
		return path
	}
	found := ""
	switch token {
	case json.Delim('{'):
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return ""
			}
			if at := nullIn(d, fmt.Sprintf("%s.%s", path, name)); found == "" {
				found = at
			}
		}
	case json.Delim('['):
		for i := 0; d.More(); i++ {
			if at := nullIn(d, path+"["+strconv.Itoa(i)+"]"); found == "" {
				found = at
			}
		}
	default:
		return ""
	}
	if _, err := d.Token(); err != nil { // the closing delimiter
		return ""
	}
	return found
}
