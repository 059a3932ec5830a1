/**
 * What two nodes tell each other about trust before either is of use to the other: a node that was away
 * must not take in whom the rest of the mesh has thrown out. When both hold the same, which is nearly always,
 * it costs two digests.
 */
import type { PeerKey } from "../../model/Names.ts"
import { refusedByUs } from "./AdmissionRefused.ts"
import type { HandshakeChannel } from "./HandshakeChannel.ts"
import { maxMessageBytes, mostRecords } from "./HandshakeChannel.ts"

export const trustDigestBytes = 16

/** Bytes of records in one message, which has room for a little more. */
const perMessage = maxMessageBytes - 1_024
/** Messages of one side: 12 MB, more than there can be settings. */
const maxMessages = 256

/** Whoever holds what was said about trust. */
export interface TrustTalk {
  readonly digest: () => Uint8Array
  /** Signed settings of the kind `trust`. */
  readonly records: () => ReadonlyArray<Uint8Array>
  /** Those by which this peer is out: for itself to see, and to believe. */
  readonly about: (peer: PeerKey) => ReadonlyArray<Uint8Array>
  /** Judged like every record; done when what counts of it is in force here. */
  readonly take: (records: ReadonlyArray<Uint8Array>) => Promise<void>
}

/** Do both know this talk, and hold something else? Digests as they were sent. */
export const differ = (ours: Uint8Array | undefined, theirs: Uint8Array | undefined): boolean =>
  ours !== undefined && theirs !== undefined && Buffer.compare(ours, theirs) !== 0

export const tellTrust = async (
  channel: HandshakeChannel,
  records: ReadonlyArray<Uint8Array>
): Promise<void> => {
  let batch: Array<Uint8Array> = []
  let bytes = 0
  for (const record of records) {
    // One that is longer than a message goes the way of all records.
    if (record.length > perMessage) continue
    if (batch.length === mostRecords || bytes + record.length + 8 > perMessage) {
      await channel.send({ type: "trust", records: batch, more: true })
      batch = []
      bytes = 0
    }
    batch.push(record)
    bytes += record.length + 8
  }
  await channel.send({ type: "trust", records: batch, more: false })
}

export const hearTrust = async (channel: HandshakeChannel, talk: TrustTalk): Promise<void> => {
  for (let messages = 0; messages < maxMessages; messages++) {
    const { more, records } = await channel.receive("trust")
    await talk.take(records)
    if (!more) return
  }
  throw refusedByUs("protocol", "the peer has more to say about trust than there can be")
}
