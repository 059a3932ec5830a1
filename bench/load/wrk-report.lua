-- Method and body come as arguments; one line of JSON when wrk is done: its own text loses digits.
function init(args)
  if args[1] then wrk.method = args[1] end
  if args[2] then wrk.body = string.rep("x", tonumber(args[2])) end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'report {"requests":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d,' ..
    '"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
