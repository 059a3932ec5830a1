/** A request thread of a node that the command runs, with the code that others of them have compiled. */
import { enableCompileCache } from "./CompileCache.ts"
import { keepAfter, runProgram } from "./KeptCode.ts"
import { programs } from "./Programs.ts"

enableCompileCache()
// A second after the command: both keep theirs under flags that are the process's.
runProgram(new URL(`./${programs.request}`, import.meta.url), keepAfter + 1_000)
