/** Who dials first, of two that have just become of use to each other. Pure. */

/** A node that started so short a time ago is a newcomer, ms: it has heard of us, and dials. */
const newFor = 10_000

/** How long it is waited for, ms, and up to twice as long: of two newcomers one is first. */
const patience = 1_000

/**
 * How long a peer is left to dial first, ms. Who comes hears of all it is to be connected with at once,
 * and they of it a moment later: without this most pairs would dial each other at the same time, which
 * costs two handshakes and leaves one connection. `startedAt`: the epoch of its record, by its own wall
 * clock, which may be wrong: then a handshake is made in vain, or a newcomer that cannot dial is met a
 * second or two later. `random` in [0, 1).
 */
export const dialPatience = (
  startedAt: number | undefined,
  wall: number,
  random: number
): number =>
  startedAt !== undefined && Math.abs(wall - startedAt) < newFor ? patience * (1 + random) : 0
