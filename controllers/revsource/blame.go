package revsource

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/bearerguard/bearerguard/api/fetch"
)

// blame names the field of a source that an error of asking its transmitter comes from, and what to do. It returns context.Canceled
// as it is, which is nobody's fault.
func blame(err error) error {
	var status *fetch.StatusError
	var address *fetch.AddressError
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &status):
		return blameStatus(status.Status, err)
	case errors.As(err, &address):
		return fmt.Errorf("sharedSignals.transmitter: %w", err)
	}
	return fmt.Errorf("sharedSignals.transmitter: %w; want it within reach of the controller's pods, with a certificate that they trust or whose authority is in caSecretRef", err)
}

func blameStatus(status int, err error) error {
	switch {
	case status == http.StatusUnauthorized:
		return fmt.Errorf("sharedSignals.credentialsSecretRef: the transmitter does not take the token: %w", err)
	case status == http.StatusForbidden:
		return fmt.Errorf("sharedSignals.credentialsSecretRef: the token may not do that at the transmitter; want one of the receiver that the stream was made for: %w", err)
	case status == http.StatusNotFound:
		return fmt.Errorf("sharedSignals.transmitter: there is no such endpoint; want the transmitter's issuer, to the letter: %w", err)
	case status >= http.StatusInternalServerError || status == http.StatusTooManyRequests:
		return fmt.Errorf("sharedSignals.transmitter: it fails and is asked again: %w", err)
	}
	return fmt.Errorf("sharedSignals.transmitter: %w", err)
}
