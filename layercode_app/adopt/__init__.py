"""Write the files that turn an existing PydanticAI agent into a voice agent."""
