/** Who wrote the fields that are read: what is mended and what is taken out depends on it. */

export type Sender =
  /** A request's: strict. */
  | "client"
  /** A response's. It is written anew, so what the RFC lets a recipient mend is mended. */
  | "program"
  /** A node's of the mesh, on a link: strict, and it speaks for the mesh. */
  | "node"

export const meshPrefix = "skein-"

export const isMeshName = (name: string): boolean =>
  name.toLowerCase().replaceAll("_", "-").startsWith(meshPrefix)

/**
 * Names by which the mesh speaks of itself. A program that could send them would pass its answer off
 * as the mesh's, so all of `skein-*` is taken out of responses; of what a client sends, what says
 * nothing in a request, or is for its own node alone to say; and of what another node sends, what this
 * one says to its program. Where a program is called, an underscore may be read as a hyphen.
 */
export const isReserved = (name: string, sender: Sender): boolean => {
  if (name.length < meshPrefix.length || (name.charCodeAt(1) | 0x20) !== 0x6b) return false
  const lower = name.toLowerCase()
  if (sender === "program") return lower.startsWith(meshPrefix)
  const plain = lower.replaceAll("_", "-")
  if (sender === "node") return ofCalls.has(plain)
  return ofAnswers.has(plain) || (plain !== lower && ofCalls.has(plain))
}

/** What a node tells a program of a call it gets. A client says the last two of its own calls. */
const ofCalls = new Set(["skein-caller", "skein-attempt", "skein-deadline"])

const ofAnswers = new Set(["skein-caller", "skein-error", "skein-node"])

/**
 * A client's field that CGI, WSGI and their kind cannot tell from one that this node answers for,
 * since they know both as HTTP_X_FORWARDED_FOR. To be asked only for names of 14 to 17 characters.
 */
export const isDisguised = (name: string, sender: Sender): boolean =>
  sender === "client" && name.includes("_") && owned.has(name.toLowerCase().replaceAll("_", "-"))

const owned = new Set([
  "content-length",
  "transfer-encoding",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto"
])
