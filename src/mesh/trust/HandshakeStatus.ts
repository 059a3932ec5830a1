/**
 * The first bytes of whoever is called, before Noise: come in, or come back later. Nobody has proved
 * anything yet, so it says no more than how long, and whoever believes it waits ten seconds at most.
 *
 *     go on   0  0 0
 *     busy    1  u16, ms, big-endian
 *     resumed 2  0 0    what Resumption.ts asked for: its answer follows, and no Noise XX
 */
import type { MessageStream } from "@libp2p/interface"
import { byteStream } from "@libp2p/utils"
import { busyStatus, statusBytes } from "../../model/HandshakeWords.ts"
import { refusedByUs } from "./AdmissionRefused.ts"

const goOn = 0
const busy = 1
const resumed = 2

/** In place of a status, in front of the answer to who resumes. */
export const resumedStatus: Uint8Array = Uint8Array.of(resumed, 0, 0)

export const isResumed = (status: Uint8Array): boolean =>
  Buffer.compare(status, resumedStatus) === 0

/** Of what an unproven word may put off, ms. */
const mostPause = 10_000

/** What may lie unread behind it: the first words of Noise. */
const maxBufferBytes = 64 * 1024

/** `retryAfter`: busy for so long, ms; undefined: go on. */
export const sendStatus = (stream: MessageStream, retryAfter: number | undefined): void => {
  stream.send(retryAfter === undefined ? Buffer.alloc(statusBytes, goOn) : busyStatus(retryAfter))
}

/** For how long the peer is busy, ms; undefined: go on. */
export const readStatus = async (
  stream: MessageStream,
  signal: AbortSignal
): Promise<number | undefined> => {
  const bytes = byteStream(stream, { maxBufferSize: maxBufferBytes })
  const read = await bytes.read({ bytes: statusBytes, signal })
  bytes.unwrap()
  const [kind, high, low] = read?.subarray() ?? []
  if (kind === goOn) return undefined
  if (kind !== busy || high === undefined || low === undefined) {
    throw refusedByUs("protocol", "the peer's first word is none of a handshake")
  }
  return Math.min(mostPause, high * 256 + low)
}
