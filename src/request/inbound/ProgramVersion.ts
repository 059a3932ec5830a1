/**
 * Asks a program which HTTP it speaks, on a connection of its own: within TLS by what it chooses of what is
 * offered, and else by the beginning of HTTP/2, which every server answers with settings at once (RFC 9113
 * §3.4) and one of HTTP/1.1 with an error, or by closing. No request is made, so nothing is done by it.
 */
import type { Ticker } from "../../model/Time.ts"
import { preface } from "../http2/Http2Frame.ts"
import { dialProgram, type ProgramPlace } from "../socket/ProgramDial.ts"

/** Of HTTP. */
export type ProgramVersion = "http" | "http2"

/** Undefined: it cannot be connected to. Silent: it said nothing, or closed, which any program may do. */
export type VersionAnswer = ProgramVersion | "silent" | undefined

export interface VersionQuestion {
  readonly place: ProgramPlace
  readonly ticker: Ticker
  /** Milliseconds for all of it. */
  readonly timeout: number
  /** Called once. */
  readonly onAnswer: (answer: VersionAnswer) => void
}

const settingsType = 4
/** Of a frame: length, type, flags, stream. */
const frameHead = 9
const noSettings = Buffer.from([0, 0, 0, settingsType, 0, 0, 0, 0, 0])
const http1 = Buffer.from("HTTP/")

/** Undefined: too little has come. */
const versionOf = (bytes: Buffer): ProgramVersion | undefined => {
  if (bytes.length < frameHead) return bytes.subarray(0, 5).equals(http1) ? "http" : undefined
  return bytes[3] === settingsType && bytes.readUInt32BE(5) === 0 ? "http2" : "http"
}

export const askVersion = ({ onAnswer, place, ticker, timeout }: VersionQuestion): void => {
  let heard = Buffer.alloc(0)
  let answered = false
  const answer = (version: VersionAnswer): void => {
    if (answered) return
    answered = true
    timer.cancel()
    socket.destroy()
    onAnswer(version)
  }
  let opened = false
  const onSilence = (): void => answer(opened ? "silent" : undefined)
  const timer = ticker.after(timeout, onSilence)
  const onOpen = (): void => {
    opened = true
    const chosen = "alpnProtocol" in socket ? socket.alpnProtocol : undefined
    if (chosen === "h2") answer("http2")
    else if (typeof chosen === "string") answer("http")
    else socket.write(Buffer.concat([preface, noSettings]))
  }
  const socket = dialProgram(place, { allowHalfOpen: false, onOpen })
  socket.on("data", (chunk) => {
    heard = Buffer.concat([heard, chunk])
    const version = versionOf(heard)
    if (version !== undefined) answer(version)
  })
  // What follows is `close`.
  socket.on("error", () => undefined)
  socket.on("close", onSilence)
}
