package registration

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// NewLook returns what the keeper does at each tick.
func NewLook(c Config, api client.Client) func(context.Context) error {
	return newKeeper(c, api, api).look
}
