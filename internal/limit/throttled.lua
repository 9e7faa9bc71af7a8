-- A call was throttled. ARGV: how long to wait as it was told (0: it was not),
-- when its slot was booked, its slot, configured rate, override, its version.
local told, booked, slot = math.min(tonumber(ARGV[1]), 120 * second), tonumber(ARGV[2]), tonumber(ARGV[3])
applyLimit(limitOf(tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])))

-- Whoever had no answer in time tells it again: each slot counts once.
local name = string.format('%.0f', slot)
if redis.call('LPOS', KEYS[5], name) then
  return { now, math.floor(s.frozen), math.floor(s.rate * 1000), math.floor(s.limit * 1000) }
end
count({ throttled = 1 })
redis.call('LPUSH', KEYS[5], name)
redis.call('LTRIM', KEYS[5], 0, 499)
redis.call('PEXPIRE', KEYS[5], 150000)

-- How many calls of the second before this one were let through: what a quota
-- that was reached just then allows.
local function letThrough()
  local n = 0
  for _, v in ipairs(redis.call('LRANGE', KEYS[4], 0, -1)) do
    local at = tonumber(v)
    if at < slot and at > slot - second then n = n + 1 end
  end
  for _, v in ipairs(redis.call('LRANGE', KEYS[5], 0, -1)) do
    local at = tonumber(v)
    if at < slot and at > slot - second then n = n - 1 end
  end
  return n
end

local wait = told
if s.cut == 0 or booked > s.cut then -- a congestion of its own
  s.row = s.clean > 2 * second and 0 or s.row + 1
  if told == 0 then
    wait = math.min(30 * second, 0.25 * second * 2 ^ s.row)
  elseif s.row > 0 then
    wait = math.max(told, math.min(second, 0.25 * second * 2 ^ s.row))
  end
  s.cut, s.before, s.evidence, s.held, s.clean = now, s.rate, 0, s.clean, 0
  s.probed = s.rate > s.good * 1.001 and 1 or 0
  if s.probed == 1 then s.hold = math.min(6 * second, 1.8 * s.hold) end
  s.step, s.stepped = 0, 0
end
s.evidence = s.evidence + 1
s.frozen = math.max(s.frozen, now + wait)

-- One congestion may be jitter, however many calls it holds: where machines stood
-- still, all that waited arrives at once. Little is taken back then. Another one
-- soon after is believed: what was let through is what is allowed. What tried too
-- much goes back to where it was good.
local again = s.row > 0
local to = s.before * math.max(again and 0.5 or 0.85, 1 - 0.025 * s.evidence)
if s.probed == 1 then to = s.good end
local seen = letThrough()
if again and seen >= 3 and seen < 0.9 * to then
  to = math.max(seen, 0.3 * s.before)
  s.good = math.min(s.good, to)
elseif s.probed == 0 and s.held < 5 * second then
  s.good = math.min(s.good, math.max(to, again and 0 or 0.985 * s.good))
end
s.rate = math.max(math.min(s.rate, to), math.min(s.limit, math.max(0.02 * s.limit, 0.05)))
s.good = math.max(s.good, s.rate)
save()
return { now, math.floor(s.frozen), math.floor(s.rate * 1000), math.floor(s.limit * 1000) }
