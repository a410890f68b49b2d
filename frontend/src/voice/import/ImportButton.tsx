import { FileUp } from "lucide-react";
import { type ChangeEvent, useRef, useState } from "react";
import { Button } from "@/ui/Button";
import { Message } from "@/ui/Message";
import { type FoundCaption, ImportProblem } from "./captions";
import { ImportDialog } from "./ImportDialog";
import { readCaptions } from "./read";

/** Imports captions from files that the creator chooses. */
export function ImportButton({ onImport }: { onImport: (captions: string[]) => void }) {
  const input = useRef<HTMLInputElement>(null);
  const [found, setFound] = useState<FoundCaption[]>([]);
  const [isReading, setIsReading] = useState(false);
  const [problem, setProblem] = useState("");

  const read = async (event: ChangeEvent<HTMLInputElement>) => {
    const field = event.currentTarget;
    const files = [...(field.files ?? [])];
    if (!files.length) return;
    setIsReading(true);
    setProblem("");
    try {
      setFound(await readCaptions(files));
    } catch (error) {
      setProblem(
        error instanceof ImportProblem ? error.message : "The browser can't read this file. Choose it again.",
      );
    } finally {
      setIsReading(false);
      // So that the same file can be chosen again.
      field.value = "";
    }
  };

  return (
    <>
      <input
        ref={input}
        type="file"
        hidden
        multiple
        accept=".txt,.json,.zip,text/plain,application/json,application/zip"
        aria-label="Files with captions"
        onChange={(event) => void read(event)}
      />
      <Button disabled={isReading} onClick={() => input.current?.click()}>
        <FileUp aria-hidden className="size-5" />
        {isReading ? "Reading…" : "Import a file"}
      </Button>
      {problem && (
        <div className="w-full">
          <Message kind="problem">{problem}</Message>
        </div>
      )}
      <ImportDialog found={found} onClose={() => setFound([])} onImport={onImport} />
    </>
  );
}
