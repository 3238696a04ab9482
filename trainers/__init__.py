"""The middle layer: what runs inside a trial. It knows neither the sampler nor the tracker."""
