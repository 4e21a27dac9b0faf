-- A load of wrk: one request a turn or DEPTH of them pipelined (`wrk ... -- DEPTH`), and its result as a line of JSON.

function init(args)
  local depth = tonumber(args[1]) or 1
  if depth > 1 then
    local requests = string.rep(wrk.format(), depth)
    request = function() return requests end
  end
end

-- Durations are in microseconds. wrk counts answers, and takes a pipelined turn's latency at its last answer.
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,' ..
    '"errors":{"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
