/**
 * What two nodes tell each other of the mesh's roots before either judges the other: who was away while a root
 * was replaced could neither recognise the others nor be recognised. When both believe the same, which is
 * nearly always, it costs 16 bytes. What is told is public keys and hashes, signed by roots: whoever asks
 * learns no more of the mesh by it.
 */
import { refusedByUs } from "./AdmissionRefused.ts"
import type { HandshakeChannel } from "./HandshakeChannel.ts"
import { maxMessageBytes } from "./HandshakeChannel.ts"
import { rootLimits } from "./RootStatement.ts"
import { maxRoots } from "./Roots.ts"

/** Statements that there can be: each root is added once and withdrawn once. */
const mostStatements = 2 * maxRoots
const perMessage = Math.floor((maxMessageBytes - 1_024) / rootLimits.bytes)

export const tellRoots = async (
  channel: HandshakeChannel,
  log: ReadonlyArray<Uint8Array>
): Promise<void> => {
  for (let at = 0; at === 0 || at < log.length; at += perMessage) {
    const statements = log.slice(at, at + perMessage)
    await channel.send({ type: "roots", statements, more: at + perMessage < log.length })
  }
}

/** The rest of what the peer tells, after the first message of it. */
export const hearRoots = async (
  channel: HandshakeChannel,
  first?: { readonly statements: ReadonlyArray<Uint8Array>; readonly more: boolean }
): Promise<ReadonlyArray<Uint8Array>> => {
  let heard: ReadonlyArray<Uint8Array> = []
  for (let message = first ?? (await channel.receive("roots")); ; ) {
    heard = [...heard, ...message.statements]
    if (heard.length > mostStatements) break
    if (!message.more) return heard
    message = await channel.receive("roots")
  }
  throw refusedByUs("protocol", "the peer has more to say of roots than there can be")
}
