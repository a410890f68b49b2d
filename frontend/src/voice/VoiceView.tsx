export function VoiceView() {
  return <h1 className="text-2xl font-extrabold">Your voice</h1>;
}
