/**
 * The session of two nodes, from the secrets that both carried through their handshake
 * (HandshakeChannel.ts, `keys`), or through a question later on. Whoever did not see both has neither
 * the id nor the secret, and one does not lead to the other.
 */
import { hkdfSync } from "node:crypto"
import { type SessionId, sessionIdBytes, sessionSecretBytes } from "../../model/Session.ts"

/** What each side contributes. */
export const contributionBytes = 32

export interface SessionSecret {
  readonly id: SessionId
  readonly secret: Uint8Array
}

/** Both in the order in which they were sent: the dialler's first. */
export const sessionOf = (fromDialler: Uint8Array, fromListener: Uint8Array): SessionSecret => {
  const both = Buffer.concat([fromDialler, fromListener])
  const derive = (label: string, length: number): Uint8Array =>
    new Uint8Array(hkdfSync("sha256", both, "", `skein session ${label}`, length))
  return {
    id: Buffer.from(derive("id", sessionIdBytes)).toString("hex"),
    secret: derive("secret", sessionSecretBytes)
  }
}
