/** What a parser made of a connection's bytes, in a form in which two parsers can be compared. */

export interface Message {
  /** All that was understood, as one text: equal texts are the same message. */
  readonly head: string
  body: string
  trailers: string
  complete: boolean
  /** The connection carries no further message after it. */
  readonly last: boolean
}

export interface Reading {
  readonly messages: ReadonlyArray<Message>
  /** The rule or code by which the bytes were refused; undefined when they were not. */
  readonly refused: string | undefined
  /**
   * After its last message the connection is no HTTP any more (tunnel, or to be closed), so what
   * follows was not read.
   */
  readonly ended: boolean
  /** Of a tunnel: what was read as its first bytes. */
  readonly tunnel: string | undefined
}

/** Whitespace is what RFC 9110 calls OWS: nothing else may be trimmed away. */
export const trimmed = (text: string): string => text.replace(/^[ \t]+|[ \t]+$/g, "")

/** Members of a comma list in lower case. */
export const members = (value: string): ReadonlyArray<string> =>
  value.toLowerCase().split(",").map(trimmed)

export const fieldLines = (fields: ReadonlyArray<string>): string => {
  let text = ""
  for (let i = 0; i < fields.length; i += 2) {
    text += `${fields[i]!.toLowerCase()}: ${trimmed(fields[i + 1]!)}\n`
  }
  return text
}

/** With another sign for the hyphen, as this node's own to CGI and its kind. */
const disguised =
  /^(?=.*[^a-z0-9-])(content[^a-z0-9]length|transfer[^a-z0-9]encoding|x[^a-z0-9]forwarded[^a-z0-9](for|host|proto))$/

/** RFC 9110 §6.5.1: what frames, routes, authenticates or says how content is read is no trailer. */
const noTrailer = new Set(
  (
    "connection content-length keep-alive te trailer transfer-encoding upgrade authorization cookie " +
    "expect forwarded host max-forwards proxy-authenticate proxy-authentication-info " +
    "proxy-authorization proxy-connection set-cookie via x-forwarded-for x-forwarded-host " +
    "x-forwarded-proto content-encoding content-range content-type"
  ).split(" ")
)

/** The fields of a raw head that an intermediary acts upon, found again by the letter of the RFC. */
export class HopFields {
  host: string | undefined = undefined
  length = -1
  chunked = false
  close = false
  keepAlive = false
  upgradeListed = false
  upgrade = ""
  expectsContinue = false
  /** What goes end to end. */
  fields: Array<string> = []
  readonly #listed = new Set<string>()
  readonly #reserved: RegExp

  constructor(raw: ReadonlyArray<string>, kind: "request" | "response") {
    this.#reserved =
      kind === "response"
        ? /^skein[^a-z0-9]/
        : /^skein[^a-z0-9](error|node|deadline|attempt|caller)$/
    for (let i = 0; i < raw.length; i += 2) {
      if (raw[i]!.toLowerCase() !== "connection") continue
      for (const option of members(raw[i + 1]!)) {
        if (option === "close") this.close = true
        else if (option === "keep-alive") this.keepAlive = true
        else if (option === "upgrade") this.upgradeListed = true
        else if (option !== "te") this.#listed.add(option)
      }
    }
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i]!.toLowerCase()
      const value = trimmed(raw[i + 1]!)
      if (this.#take(name, value) || this.#listed.has(name) || this.#reserved.test(name)) continue
      if (kind === "request" && disguised.test(name)) continue
      this.fields.push(name, value)
    }
  }

  #take(name: string, value: string): boolean {
    switch (name) {
      case "host":
        this.host = value
        return true
      case "content-length":
        this.length = Number(value)
        return true
      case "transfer-encoding":
        this.chunked = true
        return true
      case "upgrade":
        this.upgrade = this.upgrade === "" ? value : `${this.upgrade}, ${value}`
        return true
      case "expect": {
        const expected = value
          .split(",")
          .map(trimmed)
          .filter((member) => member !== "")
        const others = expected.filter((member) => member.toLowerCase() !== "100-continue")
        if (others.length === expected.length || value.includes('"')) return false
        this.expectsContinue = true
        if (others.length > 0) this.fields.push("expect", others.join(", "))
        return true
      }
      case "te":
        if (members(value).includes("trailers")) this.fields.push("te", "trailers")
        return true
      case "connection":
      case "keep-alive":
      case "proxy-connection":
      case "proxy-authorization":
      case "proxy-authenticate":
      case "proxy-authentication-info":
        return true
      default:
        return false
    }
  }

  /** Of the trailers those that are passed on. */
  trailers(raw: ReadonlyArray<string>): ReadonlyArray<string> {
    const kept: Array<string> = []
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i]!.toLowerCase()
      if (noTrailer.has(name.replaceAll(/[^a-z0-9]/g, "-"))) continue
      if (!this.#listed.has(name) && !/^skein[^a-z0-9]/.test(name)) kept.push(raw[i]!, raw[i + 1]!)
    }
    return kept
  }

  get framing(): string {
    return this.chunked ? "stream" : this.length === -1 ? "none" : `length ${this.length}`
  }
}
