"""The top layer: schedules trials, keeps their records, shows, promotes and compares."""
