-- Takes the lease KEYS[1] for the token ARGV[1] and ARGV[2] milliseconds, unless it is another one's and ends within
-- ARGV[3] milliseconds.

local lease, token, milliseconds, believed = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])

local kind = redis.call('TYPE', lease).ok
if kind ~= 'string' and kind ~= 'none' then return {'wrong type', lease, 0} end

local holder = kind == 'string' and redis.call('GET', lease)
if holder and holder ~= token then
  local left = redis.call('PTTL', lease)
  if left >= 0 and left <= believed then return {'of', holder, left} end
end

redis.call('SET', lease, token, 'PX', milliseconds)
return {'held', token, 0}
