/**
 * The secret that stands for a unix socket where there is none: another host that may ask
 * (`allowRemote`), a container beside the node's, a program that attaches at a port. 32 random bytes in a file that only the node's user
 * can read, the same over restarts; a file that was removed is written anew with another secret.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto"
import { existsSync, readFileSync, statSync } from "node:fs"
import { Data, Effect } from "effect"
import { type DataDirError, readPrivateFile, writePrivateFile } from "../mesh/keys/KeyFile.ts"

/** What the secret lets its bearer do. */
export type TokenKind = "admin" | "programs"

const shapes: Readonly<Record<TokenKind, RegExp>> = {
  admin: /^skein-admin-[A-Za-z0-9_-]{43}$/,
  programs: /^skein-programs-[A-Za-z0-9_-]{43}$/
}
const maxFile = 1_024

const makeToken = (kind: TokenKind): string =>
  `skein-${kind}-${randomBytes(32).toString("base64url")}`

/** A file that was changed so lately, ms, may be changed again in the same moment of its file system's clock. */
const settled = 1_000

/** Another one when the file is another one or was changed; undefined while that cannot be told, or it is not there. */
const fileAsItIs = (path: string): string | undefined => {
  try {
    const { ctimeMs, dev, ino, mode, size } = statSync(path)
    return Date.now() - ctimeMs < settled ? undefined : [dev, ino, mode, size, ctimeMs].join(" ")
  } catch {
    return undefined
  }
}

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest()

export class AdminToken {
  readonly path: string
  /** Of what the file says, and not the secret itself. */
  #digest: Buffer | undefined
  /** The file, as it was when it was read; undefined: it may have changed since. */
  #read: string | undefined

  readonly #kind: TokenKind

  constructor(path: string, kind: TokenKind = "admin") {
    this.path = path
    this.#kind = kind
  }

  /** Whether an `authorization` field is the bearer's. Takes the same time for every wrong one. */
  readonly isHeldBy = (authorization: string): boolean => {
    const [, token] = /^bearer +(\S{1,200})$/i.exec(authorization) ?? []
    return (
      token !== undefined &&
      this.#digest !== undefined &&
      timingSafeEqual(sha256(token), this.#digest)
    )
  }

  /** Reads the file, or makes it. What is no token, or was open to others, is replaced. */
  readonly keep: Effect.Effect<void, DataDirError> = Effect.suspend(() =>
    Effect.gen(this, function* () {
      const before = fileAsItIs(this.path)
      const bytes = yield* readPrivateFile(this.path, maxFile)
      const text = bytes === undefined ? "" : Buffer.from(bytes).toString("utf8").trim()
      const isPrivate = bytes !== undefined && (statSync(this.path).mode & 0o077) === 0
      this.#read = undefined
      if (shapes[this.#kind].test(text) && isPrivate) {
        this.#digest = sha256(text)
        this.#read = before
        return
      }
      const token = makeToken(this.#kind)
      yield* writePrivateFile(this.path, Buffer.from(`${token}\n`))
      this.#digest = sha256(token)
    })
  )

  /** The file has not changed since `keep` read it: there is nothing to keep. */
  get isKept(): boolean {
    return this.#read !== undefined && this.#read === fileAsItIs(this.path)
  }

  get isThere(): boolean {
    return existsSync(this.path)
  }
}

export class TokenFileError extends Data.TaggedError("TokenFileError")<{
  readonly code: "unreadable" | "no_token"
  readonly message: string
}> {}

/** What a file of a command line holds. Never part of a message. */
export const readAdminToken = (path: string): Effect.Effect<string, TokenFileError> =>
  Effect.suspend(() => {
    let text: string
    try {
      text = readFileSync(path, "utf8").slice(0, maxFile).trim()
    } catch (cause) {
      const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)
      const message = `the token file ${path} cannot be read: ${code}`
      return new TokenFileError({ code: "unreadable", message })
    }
    return shapes.admin.test(text)
      ? Effect.succeed(text)
      : new TokenFileError({
          code: "no_token",
          message: `${path} holds no admin token; the node's is in admin.token of its data directory`
        })
  })
