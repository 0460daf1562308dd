"""Write the files with which an existing PydanticAI agent becomes a voice agent."""
