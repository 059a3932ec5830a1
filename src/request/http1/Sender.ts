/** Who wrote the fields that are read: what is mended and what is taken out depends on it. */
import { isAlphanumeric, plainName, startsFolded } from "../../model/FoldedText.ts"

export type Sender =
  /** A request's: strict. */
  | "client"
  /** A response's. It is written anew, so what the RFC lets a recipient mend is mended. */
  | "program"
  /** A node's of the mesh, on a link: strict, and it speaks for the mesh. */
  | "node"

const word = "skein"

/**
 * The mesh's, also as programs that make variables of names read them: to CGI, WSGI and PHP `skein_caller` and
 * `skein.caller` are `skein-caller`. Most names are told apart by two letters, and none is copied.
 */
export const isMeshName = (name: string): boolean =>
  name.length > word.length &&
  (name.charCodeAt(1) | 0x20) === 0x6b &&
  startsFolded(name, word) &&
  !isAlphanumeric(name.charCodeAt(word.length))

/**
 * Names by which the mesh speaks of itself. A program that could send them would pass its answer off
 * as the mesh's, so all of `skein-*` is taken out of responses; of what a client sends, what says
 * nothing in a request, or is for its own node alone to say; and of what another node sends, what this
 * one says to its program.
 */
export const isReserved = (name: string, sender: Sender): boolean => {
  if (!isMeshName(name)) return false
  if (sender === "program") return true
  const plain = plainName(name)
  if (sender === "node") return ofCalls.has(plain)
  return ofAnswers.has(plain) || (plain !== name.toLowerCase() && ofCalls.has(plain))
}

/** What a node tells a program of a call it gets. A client says the last two of its own calls. */
const ofCalls = new Set(["skein-caller", "skein-attempt", "skein-deadline"])

const ofAnswers = new Set(["skein-caller", "skein-error", "skein-node"])

/**
 * A client's field that CGI, WSGI and their kind cannot tell from one that this node answers for,
 * since they know both as HTTP_X_FORWARDED_FOR. To be asked only for names of 14 to 17 characters.
 */
export const isDisguised = (name: string, sender: Sender): boolean => {
  if (sender !== "client" || !hasOtherSign(name)) return false
  return owned.has(plainName(name))
}

/** Whether another sign stands where one of them has a hyphen: to see that no text is made. */
const hasOtherSign = (name: string): boolean => {
  const first = name.charCodeAt(0) | 0x20
  if (first === 0x78) return isOther(name.charCodeAt(1)) || isOther(name.charCodeAt(11))
  if (first === 0x63) return isOther(name.charCodeAt(7))
  return first === 0x74 && isOther(name.charCodeAt(8))
}

const hyphen = 0x2d
const isOther = (code: number): boolean => code !== hyphen && !isAlphanumeric(code)

const owned = new Set([
  "content-length",
  "transfer-encoding",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto"
])
