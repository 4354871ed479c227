package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/sidecar/capture"
)

func captureCommand() *cobra.Command {
	var to uint16
	var exclude []uint
	c := &cobra.Command{
		Use:   "capture --to PORT",
		Short: "Redirect the pod's inbound TCP to the sidecar.",
		Long: `Redirect all inbound TCP of this network namespace to the sidecar's port, whatever port it was for.

It runs once, in an init container with the capability NET_ADMIN and no other. Connections over loopback and to
excluded ports are left alone. It may be run again.`,
		Example: "  sidecar capture --to 15080 --exclude 15081,9090",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conf := capture.Config{To: to}
			for _, port := range exclude {
				if port < 1 || port > 65535 {
					return fmt.Errorf("--exclude: %d is no port; want 1 to 65535", port)
				}
				conf.Exclude = append(conf.Exclude, uint16(port)) //nolint:gosec // checked above
			}
			if err := conf.Validate(); err != nil {
				return err
			}
			if err := capture.Install(conf); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "inbound TCP is redirected to port %d, except to %v\n", to, exclude)
			return nil
		},
	}
	c.Flags().Uint16Var(&to, "to", 0, "the sidecar's port")
	c.Flags().UintSliceVar(&exclude, "exclude", nil, "inbound ports that are left alone, separated by commas")
	return c
}
