/**
 * How a connection of a program with its host's node begins: a line of JSON from each, the program's
 * first. What follows depends on its role: frames of a link (Frame.ts), which the program opens
 * (`calls`) or the node (`serves`), or lines of `control` (ProgramTalkSchema.ts).
 *
 *     {"skein":"program","versions":[1,1],"role":"calls","pass":"…","thread":0}
 *     {"version":1,"thread":0}        or        {"refused":{"code":"too_new","message":"…"}}
 *
 * Each says which versions it speaks, and the newest that both do is spoken. Keys that are not known are
 * those of a later version and are passed over.
 */

/** The oldest and the newest version that is spoken here. */
export type Versions = readonly [least: number, most: number]

export const programVersions: Versions = [1, 5]
/**
 * From here on a program may name the one endpoint that is to be called (where an opening has an endpoint),
 * and asks who offers a service.
 */
export const namingVersion = 2
/** From here on a node may ask how the program's actors fare. */
export const actorsVersion = 3
/**
 * From here on a program may take up another protocol that a call asks for: its request goes on after the
 * head. Of an older one, and from an older node, it has ended there.
 */
export const switchingVersion = 4
/** From here on a program may say of a call that it goes past an open circuit. */
export const pastVersion = 5

/** Bytes of a first line. */
export const helloBytes = 4 * 1024
/** Who has not said it by then is closed, ms. */
export const helloTimeout = 5_000

const roles = ["control", "calls", "serves"] as const
export type ProgramRole = (typeof roles)[number]

export interface ProgramHello {
  /** Chosen of those it speaks. */
  readonly version: number
  readonly role: ProgramRole
  /** Of a link: which program it is. */
  readonly pass: string | undefined
}

/** Stable: programs match on them, and go by them when they try again. */
export type HelloRefusal =
  | "bad_hello"
  /** The program speaks no version that this node does: one of them is to be upgraded. */
  | "too_old"
  | "too_new"
  /** The pass is of no program that is attached: it attaches anew. */
  | "unknown_program"
  /** The token is not the one that the node keeps in its file. */
  | "bad_token"
  | "too_many"
  | "draining"

export interface Refused {
  readonly code: HelloRefusal
  /** For people. */
  readonly message: string
}

/** Undefined: none. */
const newestOf = (theirs: Versions, ours: Versions): number | undefined => {
  const newest = Math.min(theirs[1], ours[1])
  return newest >= Math.max(theirs[0], ours[0]) ? newest : undefined
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Undefined: it is no JSON object. */
export const parseObject = (line: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(line)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

const isVersions = (value: unknown): value is Versions =>
  Array.isArray(value) &&
  value.length === 2 &&
  value.every((one: unknown) => Number.isSafeInteger(one)) &&
  value[0] <= value[1]

const badHello = (what: string): Refused => ({
  code: "bad_hello",
  message: `${what}; programs attach with a library of Skein, and HTTP clients use the proxy's port`
})

/** What a program says first, or why it is not taken. */
export const readHello = (
  line: string,
  ours: Versions = programVersions
): ProgramHello | Refused => {
  const said = parseObject(line)
  if (said?.["skein"] !== "program") return badHello("this is no hello of a program")
  const { pass, role: named, versions } = said
  if (!isVersions(versions)) return badHello("the hello says no versions")
  const version = newestOf(versions, ours)
  if (version === undefined) {
    const code = versions[1] < ours[0] ? "too_old" : "too_new"
    const old = code === "too_old" ? "the program's library" : "the node"
    const message = `the program speaks versions ${versions[0]} to ${versions[1]}, and the node ${ours[0]} to ${ours[1]}: upgrade ${old}`
    return { code, message }
  }
  const role = roles.find((one) => one === named)
  if (role === undefined) return badHello("the hello says no role that is known")
  return { version, role, pass: typeof pass === "string" ? pass : undefined }
}

export const isRefused = (answer: object): answer is Refused => "code" in answer

export const refusalLine = (refused: Refused): string => `${JSON.stringify({ refused })}\n`

export interface LinkAnswer {
  readonly version: number
  /** Which of the node's threads has the connection. */
  readonly thread: number
}

/** A refusal by a later node may have a code that is not known here. */
const refusalIn = (said: Readonly<Record<string, unknown>>): Refused | undefined => {
  const { refused } = said
  if (!isObject(refused)) return undefined
  const { code, message } = refused
  if (typeof code !== "string" || typeof message !== "string") return undefined
  // The code is the node's word, known or not: it is shown, and matched on where it is known.
  return { code: code as HelloRefusal, message }
}

/** What a node answers to the hello of a link; undefined: nothing that is understood. */
export const readLinkAnswer = (line: string): LinkAnswer | Refused | undefined => {
  const said = parseObject(line)
  if (said === undefined) return undefined
  const { thread, version } = said
  return typeof version === "number" && typeof thread === "number"
    ? { version, thread }
    : refusalIn(said)
}

/** The same of `control`: the welcome is to be read by whoever asked. */
export const readControlAnswer = (
  line: string
): Readonly<Record<string, unknown>> | Refused | undefined => {
  const said = parseObject(line)
  return said === undefined ? undefined : (refusalIn(said) ?? said)
}
