package main

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/cert-manager/cert-manager/internal/apis/config/webhook/validation"
	"github.com/cert-manager/cert-manager/internal/webhook"
	"github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/cert-manager/cert-manager/pkg/webhook/options"
)

// runWebhook checks and defaults cert-manager's own objects.
func runWebhook(ctx context.Context, fs *pflag.FlagSet, args []string) error {
	c, err := options.NewWebhookConfiguration()
	if err != nil {
		return fmt.Errorf("read defaults: %w", err)
	}
	options.AddConfigFlags(fs, c)
	if err := fs.Parse(args); err != nil {
		return err
	}
	if errs := validation.ValidateWebhookConfiguration(c, nil); len(errs) > 0 {
		return fmt.Errorf("check flags: %w", errs.ToAggregate())
	}
	if err := logs.ValidateAndApply(&c.Logging); err != nil {
		return err
	}
	s, err := webhook.NewCertManagerWebhookServer(logs.FromContext(ctx), *c)
	if err != nil {
		return fmt.Errorf("make the webhook: %w", err)
	}
	return s.Run(ctx)
}
