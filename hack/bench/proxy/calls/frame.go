package main

import (
	"encoding/binary"
	"errors"
)

// Frame types and flags (RFC 9113 section 6).
const (
	frameData, frameHeaders, frameReset   = 0, 1, 3
	frameSettings, framePing, frameGoAway = 4, 6, 7
	frameWindow, frameContinuation        = 8, 9

	flagEnd, flagAck, flagEndHeaders, flagPadded, flagPriority = 1, 1, 4, 8, 0x20

	settingTableSize, settingStreams, settingWindow = 1, 3, 4

	frameHead = 9       // bytes
	frameMax  = 1 << 14 // bytes of a payload, on both sides
	preface   = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

var errFrame = errors.New("a frame that RFC 9113 does not allow")

func appendFrameHead(b []byte, length int, kind, flags byte, stream uint32) []byte {
	b = append(b, byte(length>>16), byte(length>>8), byte(length), kind, flags)
	return binary.BigEndian.AppendUint32(b, stream)
}

func appendWindow(b []byte, stream uint32, more int) []byte {
	return binary.BigEndian.AppendUint32(appendFrameHead(b, 4, frameWindow, 0, stream), uint32(more))
}

// frame is one frame; its payload lies in the buffer that it was read from.
type frame struct {
	kind, flags byte
	stream      uint32
	payload     []byte
}

// nextFrame takes the first frame off b; ok is false, and the rest is b, where there is no whole one yet.
func nextFrame(b []byte) (f frame, rest []byte, ok bool, err error) {
	if len(b) < frameHead {
		return f, b, false, nil
	}
	length := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	if length > frameMax {
		return f, b, false, errFrame
	}
	if len(b) < frameHead+length {
		return f, b, false, nil
	}
	f = frame{kind: b[3], flags: b[4], stream: binary.BigEndian.Uint32(b[5:]) &^ (1 << 31), payload: b[frameHead : frameHead+length]}
	return f, b[frameHead+length:], true, f.trim()
}

// trim takes padding and priority off DATA and HEADERS.
func (f *frame) trim() error {
	if f.kind != frameData && f.kind != frameHeaders {
		return nil
	}
	if f.flags&flagPadded != 0 {
		if len(f.payload) == 0 || int(f.payload[0]) >= len(f.payload) {
			return errFrame
		}
		f.payload = f.payload[1 : len(f.payload)-int(f.payload[0])]
	}
	if f.kind == frameHeaders && f.flags&flagPriority != 0 {
		if len(f.payload) < 5 {
			return errFrame
		}
		f.payload = f.payload[5:]
	}
	return nil
}
