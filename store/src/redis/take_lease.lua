-- Takes the lease KEYS[1] for the token ARGV[1] and ARGV[2] milliseconds, unless it is another one's and lasts no longer than
-- ARGV[3] times as long as its holder takes it for, which stands behind its token.

local lease, token, milliseconds, believed = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])

local kind = redis.call('TYPE', lease).ok
if kind ~= 'string' and kind ~= 'none' then return {'wrong type', lease, 0} end

local value = kind == 'string' and redis.call('GET', lease)
if value then
  local holder, period = string.match(value, '^(.*) (%d+)$')
  if not holder then holder, period = value, milliseconds end
  if holder ~= token then
    local left = redis.call('PTTL', lease)
    if left >= 0 and left <= believed * tonumber(period) then return {'of', holder, left} end
  end
end

redis.call('SET', lease, token .. ' ' .. milliseconds, 'PX', milliseconds)
return {'held', token, 0}
