/** Who wrote the fields that are read: what is mended and what is taken out depends on it. */

export type Sender =
  /** A request's: strict. */
  | "client"
  /** A response's. It is written anew, so what the RFC lets a recipient mend is mended. */
  | "program"
  /** A node's of the mesh, on a link: strict, and it speaks for the mesh. */
  | "node"

export const meshPrefix = "skein-"

/**
 * Names by which the mesh speaks of itself. A program that could send them would pass its answer off
 * as the mesh's, so all of `skein-*` is taken out of responses; of what a client sends, what says
 * nothing in a request.
 */
export const isReserved = (name: string, sender: Sender): boolean => {
  if (name.length < meshPrefix.length || (name.charCodeAt(1) | 0x20) !== 0x6b) return false
  const lower = name.toLowerCase()
  if (!lower.startsWith(meshPrefix)) return false
  return sender === "program" || (sender === "client" && ofAnswers.has(lower))
}

const ofAnswers = new Set(["skein-error", "skein-node"])

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
