/** `skein root …`: the mesh's root key under a passphrase, off the hosts; and another root in its place. */
import { readFileSync } from "node:fs"
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Console, Effect, Option } from "effect"
import { failCommand, wrongUsage } from "./CommandFailed.ts"
import { environment } from "./NodeAddress.ts"
import { finish, rotate, status } from "./rotation.ts"
import { print } from "./View.ts"

const rootOptions = {
  dataDir: Options.directory("data-dir").pipe(
    Options.withDescription("Of the node (default: SKEIN_DATA_DIR)"),
    Options.optional
  ),
  passphraseFile: Options.text("passphrase-file").pipe(
    Options.withPseudoName("file"),
    Options.withDescription(
      "Holds the passphrase on its first line; - is standard input (default: SKEIN_ROOT_PASSPHRASE)"
    ),
    Options.optional
  )
}

interface RootChoice {
  readonly dataDir: Option.Option<string>
  readonly passphraseFile: Option.Option<string>
}

const readText = (path: string) =>
  Effect.try({
    try: () => readFileSync(path === "-" ? 0 : path, "utf8"),
    catch: (cause) =>
      failCommand(`cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`)
  })

/** Never an argument: those stand in every list of processes. */
const passphraseOf = ({ passphraseFile }: RootChoice) =>
  Effect.gen(function* () {
    const text = Option.isSome(passphraseFile)
      ? yield* readText(passphraseFile.value)
      : process.env["SKEIN_ROOT_PASSPHRASE"]
    const [line = ""] = text?.split(/\r?\n/) ?? []
    if (line === "") {
      return yield* wrongUsage(
        "give the passphrase: --passphrase-file FILE (or - for standard input), or SKEIN_ROOT_PASSPHRASE"
      )
    }
    return line
  })

const directoryOf = ({ dataDir }: RootChoice) =>
  Effect.gen(function* () {
    const known = yield* environment
    const directory = Option.orElse(dataDir, () => known.dataDir)
    return Option.isSome(directory)
      ? directory.value
      : yield* wrongUsage("say which node is meant: --data-dir DIR, or SKEIN_DATA_DIR")
  })

const keys = Effect.promise(() => import("../mesh/keys/RootKeyFile.ts"))

const out = Options.text("out").pipe(
  Options.withPseudoName("file"),
  Options.withDescription("Where to write it, mode 0600 (default: standard output)"),
  Options.optional
)

const remove = Options.boolean("remove").pipe(
  Options.withDescription(
    "Take root.key out of the data directory when --out has been read again and opened; the node goes on by its own right to admit"
  )
)

const exportRoot = Command.make("export", { ...rootOptions, out, remove }, (choice) =>
  Effect.gen(function* () {
    const dataDir = yield* directoryOf(choice)
    const passphrase = yield* passphraseOf(choice)
    if (choice.remove && Option.isNone(choice.out)) {
      return yield* wrongUsage(
        "--remove needs --out: what went to standard output nobody can check"
      )
    }
    const { exportRootKey, removeRootKey, writeSealed } = yield* keys
    const { meshName, text } = yield* exportRootKey(dataDir, passphrase)
    if (Option.isSome(choice.out)) yield* writeSealed(choice.out.value, text, passphrase)
    else yield* print(text)
    if (choice.remove) yield* removeRootKey(dataDir)
    yield* Console.error(
      choice.remove
        ? `the root key of ${meshName} is in that file only, and in the memory of its node until that is started again`
        : `the root key of ${meshName} is still in ${dataDir}; with --remove it is not`
    )
  })
).pipe(Command.withDescription("Print the mesh's root key under a passphrase"))

const file = Args.text({ name: "file" }).pipe(
  Args.withDescription("What `skein root export` printed; - is standard input")
)

const importRoot = Command.make("import", { ...rootOptions, file }, (choice) =>
  Effect.gen(function* () {
    const dataDir = yield* directoryOf(choice)
    if (choice.file === "-" && Option.contains(choice.passphraseFile, "-")) {
      return yield* wrongUsage("only one of key and passphrase can come from standard input")
    }
    const passphrase = yield* passphraseOf(choice)
    const { importRootKey } = yield* keys
    const meshName = yield* importRootKey(dataDir, yield* readText(choice.file), passphrase)
    yield* Console.error(
      `the root key of ${meshName} is in ${dataDir}: start the node once, and take it out again with skein root export --out FILE --remove`
    )
  })
).pipe(Command.withDescription("Put an exported root key into a node's data directory"))

export const root = Command.make("root").pipe(
  Command.withDescription(
    "Take the mesh's root key off a host under a passphrase and bring it back, or replace it"
  ),
  Command.withSubcommands([exportRoot, importRoot, status, rotate, finish])
)
