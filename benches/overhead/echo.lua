-- Sets the request that wrk sends, and prints one line of figures for `src/load.rs`. Times are in microseconds.
wrk.method = "POST"
wrk.body = string.rep("echo", 16)

function done(summary, latency)
  local failed = 0
  for _, count in pairs(summary.errors) do
    failed = failed + count
  end
  io.write(string.format("figures %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(99), failed))
end
