-- Books slots, evenly spaced. ARGV: how many, configured rate, override, its
-- version, spacing (share of the rate that is used), processes if this one was
-- without Redis until now (else 0), slots booked before and not used, process,
-- its waiters "urgent normal bulk" after these slots, the slot that it booked last,
-- for how long it was told to wait still (not until when: it would be known a
-- little less well): whoever told it may not have been heard here,
-- how long from now the first slot is at least, by how much more than it may be
-- a call was late, and its slot.
local n = tonumber(ARGV[1])
local known = s.limit > 0
applyLimit(limitOf(tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])))

if not known and tonumber(ARGV[10]) > now - second then settle(32) end

-- The rate grows with time in which calls stood in line and none was throttled.
local function recover(passed)
  s.clean = s.clean + passed
  if s.clean > 2 * second then s.row = 0 end
  if s.rate < s.good then
    s.rate = math.min(s.good, s.rate + s.good * passed / (4 * second))
    s.stepped = s.clean
  elseif s.rate >= s.limit then
    s.rate = s.limit
    if s.clean - s.stepped > 2 * second then
      s.good, s.step, s.hold = s.limit, 0, 3 * second
    end
  elseif s.clean - s.stepped > (s.step == 0 and s.hold or second) then
    if s.step > 0 and s.prior > s.good then
      s.good, s.hold = s.prior, 3 * second
    end
    s.prior, s.stepped = s.rate, s.clean
    s.step = s.step == 0 and 0.02 or math.min(0.32, 2 * s.step)
    s.rate = math.min(s.limit, s.rate * (1 + s.step))
  end
end

local sharers = tonumber(ARGV[6])
if sharers > 0 then -- others may not know yet that Redis is back
  s.shy, s.sharers = now + 1.5 * second, sharers
end
local spacing = second / (s.rate * tonumber(ARGV[5]))
if now < s.shy then spacing = spacing * math.max(1, s.sharers) end

-- The second after a late call must hold no more calls than any other, so before
-- it is over, what follows comes later by as much: once for all that were late.
local late, slot = math.min(tonumber(ARGV[13]), second), tonumber(ARGV[14])
if late > 0 and slot > now - 0.7 * second then
  if s.owed == 0 then s.owing = slot end
  s.owed = math.max(s.owed, late)
end
if s.owed > 0 and math.max(s.tat, now) > s.owing + 0.7 * second then
  if s.tat > now then s.tat = s.tat + s.owed end
  s.owed = 0
end

local still = tonumber(ARGV[11])
if still > 0 then s.frozen = math.max(s.frozen, now + math.min(still, 120 * second)) end
local queued = s.tat > now
local first = math.max(s.tat, now + tonumber(ARGV[12]), s.frozen)
local counts = { sent = n - tonumber(ARGV[7]), busy = 0, queued = 0 }
if queued then
  counts.busy, counts.queued = first - s.tat + n * spacing, n
  recover(n * spacing)
end
s.tat = first + n * spacing
save()
count(counts)

for i = 0, n - 1 do
  redis.call('LPUSH', KEYS[4], string.format('%.0f', first + i * spacing))
end
redis.call('LTRIM', KEYS[4], 0, math.min(4000, math.ceil(1.5 * s.limit) + 64))
redis.call('PEXPIRE', KEYS[4], 150000)

-- A report holds until this process must have booked again.
local ends = s.tat + 3 * second
if redis.call('HSET', KEYS[2], ARGV[8], ARGV[9] .. ' ' .. string.format('%.0f', ends)) == 1 then
  local reports = redis.call('HGETALL', KEYS[2])
  for i = 1, #reports, 2 do
    if (tonumber(string.match(reports[i + 1], '%d+$')) or 0) < now then redis.call('HDEL', KEYS[2], reports[i]) end
  end
end
redis.call('PEXPIRE', KEYS[2], math.ceil((ends - now) / 1000))

return { now, math.floor(first), math.floor(spacing), math.floor(s.frozen), math.floor(s.rate * 1000), math.floor(s.limit * 1000) }
