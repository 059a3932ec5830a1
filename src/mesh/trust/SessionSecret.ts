/**
 * A session from what two nodes have said to each other on a connection that Noise protects and
 * admission has judged: 32 random bytes from each. Whoever did not see both has neither the id nor
 * the secret, and one does not lead to the other.
 */
import { hkdfSync } from "node:crypto"
import { type SessionId, sessionIdBytes, sessionSecretBytes } from "../../model/Session.ts"

/** What each side contributes. */
export const contributionBytes = 32

export interface SessionKeys {
  readonly id: SessionId
  readonly secret: Uint8Array
}

/** The same on both sides. `first`: of who dialled, or asked for a new session. */
export const sessionKeys = (first: Uint8Array, second: Uint8Array): SessionKeys => {
  const both = Buffer.concat([first, second])
  const derive = (label: string, length: number): Buffer =>
    Buffer.from(hkdfSync("sha256", both, "", `skein session ${label}`, length))
  return {
    id: derive("id", sessionIdBytes).toString("hex"),
    secret: Uint8Array.from(derive("secret", sessionSecretBytes))
  }
}
